import ArgumentParser
import Foundation
import QiMesh

/// `qimesh path`: which way calls to a device take, and why no better one.
struct Path: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "path", abstract: "Show which way calls to a device take, and why no better one.",
        discussion: """
            Of a group of the configuration: its devices, the way to each, how many calls each has answered and which share that is.

            Opens a stream to the device if there is none, and measures its round trip. The rates are the most of two seconds of the last \
            minute. With --require, exit status 8 when the stream is not on that path or a better one. With --use, keeps it on that path \
            until --use auto, or the stream ends.
            """)

    @Argument(help: "The nickname or address of the device, or a group.")
    var device: String

    @Option(name: .customLong("require"), help: "Fail unless the path is this one or better: direct, proxy or in-band.")
    var required: String?

    @Option(name: .customLong("use"), help: "Keep to one path: direct, proxy or in-band; auto: the best there is.")
    var use: String?

    @Flag(name: .long, help: "Show it again every two seconds, until Ctrl-C.")
    var watch = false

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    private static let ranks = NodeSession.pathKinds

    func validate() throws {
        if let required, !Self.ranks.contains(required) { throw ValidationError("--require has to be direct, proxy or in-band") }
        if let use, use != "auto", !Self.ranks.contains(use) { throw ValidationError("--use has to be direct, proxy, in-band or auto") }
    }

    func perform(_ console: Console) async throws(CommandFailure) {
        guard case .contact(let contact) = try DeviceName(device) else {
            throw .usage("path asks about a contact of the node, and \(device) is a directory", hint: "qimesh ls \(word: device)")
        }
        try await withControl(console) { (control, session) async throws(CommandFailure) in
            if let group = try await session.group(named: contact) { return try show(group, console) }
            var wanted = use ?? ""
            repeat {
                let now = wanted
                let status = try await control.ask(limit: .seconds(75), device: contact) { try await $0.path(of: contact, use: now) }
                wanted = ""
                let unmet = unmet(status, now)
                if unmet == nil || !console.json { show(status, console) }
                if let unmet { throw unmet }
                if watch { try await pause() }
            } while watch
        }
    }

    /// A group has a path for each of its devices.
    private func show(_ group: GroupRow, _ console: Console) throws(CommandFailure) {
        guard required == nil, use == nil, !watch else {
            throw .usage(
                "\(group.name) is a group: --require, --use and --watch are about one device", hint: "qimesh path \(word: group.name)")
        }
        if console.json { return console.done(.object([("group", JSONValue(control: group))])) }
        console.table(GroupTable.table([group]))
        for note in GroupTable.notes([group]) { console.note("! \(note)") }
    }

    /// What is not as it was asked for.
    private func unmet(_ status: DevicePathRow, _ use: String) -> CommandFailure? {
        let path = status.path ?? "none"
        if let required, !Self.fulfils(status.path, required) {
            return CommandFailure(.unmet, "the path to \(device) is \(path), and \(required) is required", hint: "qimesh path \(word: device)")
        }
        guard Self.ranks.contains(use), use != path else { return nil }
        return NodeSession.unmet(use, status, device: device, hint: "qimesh path \(word: device) --use auto")
    }

    private func pause() async throws(CommandFailure) {
        do { try await Task.sleep(for: .seconds(2)) } catch { throw CommandFailure(.cancelled, "interrupted") }
    }

    private static func fulfils(_ path: String?, _ required: String) -> Bool {
        guard let path = path.flatMap({ ranks.firstIndex(of: $0) }), let least = ranks.firstIndex(of: required) else { return false }
        return path <= least
    }

    private func show(_ status: DevicePathRow, _ console: Console) {
        if console.json { return console.document(Self.json(status)) }
        console.line(status.jid)
        if let path = status.path {
            let time = status.rtt.map(TimeText.milliseconds) ?? "no answer"
            console.line("  in use   \(path)   rtt \(time)   up \(Self.rate(status.up))   down \(Self.rate(status.down))")
        } else {
            console.line("  in use   none at the moment: calls wait for one")
        }
        for candidate in status.candidates {
            let name = candidate.path.padding(toLength: 8, withPad: " ", startingAt: 0)
            let reason = candidate.reason ?? "not tried: a better one is in use, or it is about to be"
            console.line("  \(candidate.reason == nil ? "other" : "tried")    \(name) \(reason)")
        }
        for advice in status.advice { console.line("  advice   \(advice)") }
    }

    private static func rate(_ bytes: Double) -> String {
        switch bytes {
        case ..<1000: "\(Int(bytes)) B/s"
        case ..<1_000_000: "\((bytes / 100).rounded() / 10) kB/s"
        default: "\((bytes / 100_000).rounded() / 10) MB/s"
        }
    }

    private static func json(_ status: DevicePathRow) -> JSONValue {
        .object([
            ("ok", .bool(true)), ("jid", .string(status.jid)), ("path", status.path.map { .string($0) } ?? .null),
            ("rtt", status.rtt.map { .number($0) } ?? .null), ("up", .number(status.up.rounded())), ("down", .number(status.down.rounded())),
            ("changes", .number(Double(status.changes))), ("stream", .bool(status.stream)),
            ("candidates", .array(status.candidates.map {
                .object([
                    ("path", .string($0.path)), ("reason", $0.reason.map { .string($0) } ?? .null),
                    ("again", $0.again.map { .number($0) } ?? .null),
                ])
            })),
            ("advice", .array(status.advice.map { .string($0) })),
        ])
    }
}
