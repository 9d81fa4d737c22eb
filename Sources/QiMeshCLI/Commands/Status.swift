import ArgumentParser
import Foundation
import QiWire

/// `qimesh status`: this node.
struct Status: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "This node: where it listens, its accounts, its tunnels.")

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let status = try await control.call("status")
            if console.json { return console.done(JSONValue(control: status)) }
            Self.print(status, console, now: Date().timeIntervalSince1970)
        }
    }

    private static func print(_ status: QiValue, _ console: Console, now: Double) {
        func since(_ row: QiValue) -> String { TimeText.since(row.number("since"), now) }
        let model = status.text("model")
        console.line(Printable.line(
            status.text("name") + (model.isEmpty ? "" : "  \(model)") + "  qimesh \(status.text("version"))"
                + "  machine \(status.text("machineId"))"))
        for url in status.texts("directory") { console.line("directory  " + Printable.line(url)) }
        for what in status.texts("directoryMissing") {
            console.line("directory  " + Printable.line("not there yet, and waited for: \(what)"))
        }
        for url in status.texts("gateway") { console.line("gateway    " + Printable.line(url)) }
        let key = status.text("gatewayKey")
        if !key.isEmpty { console.line("  its key  " + key) }
        if let descriptors = status.member("descriptors"), descriptors.member("exhausted")?.asBool == true {
            console.line("no file descriptor is left of \(descriptors.integer("limit") ?? 0): new connections wait until others end")
        }
        let closed = status.text("gatewayTrouble")
        if !closed.isEmpty {
            let extent = status.texts("gateway").isEmpty ? "not open" : "not open everywhere"
            console.line("gateway    " + Printable.line("\(extent), and tried again: \(closed)"))
        }
        let master = status.text("master")
        if !master.isEmpty {
            let trouble = status.text("masterTrouble")
            console.line("member of  " + Printable.line(trouble.isEmpty ? master : "\(master)  (\(trouble))"))
        }
        let accounts = status.rows("accounts")
        if accounts.isEmpty {
            console.line("no account: a local bus only")
        } else {
            var table = Table(["ACCOUNT", "STATE", "SINCE", "RESOURCE", .init("REASON", .list)])
            for row in accounts {
                let state = row.text("state")
                table.add([
                    .init(row.text("jid")), .init(state, Tint(state: state)), .init(since(row)), .init(row.text("resource")),
                    .init(row.text("reason")),
                ])
            }
            console.table(table)
        }
        pairing(status, console, now)
        let tunnels = status.rows("tunnels")
        guard !tunnels.isEmpty else { return }
        var table = Table(["TUNNEL", "DIRECTION", "CALLS", "SINCE", "JID"])
        for row in tunnels {
            table.add([
                .init(row.text("device")), .init(row.text("direction")), .init(row.integer("calls").map { "\($0)" } ?? ""),
                .init(since(row)), .init(row.text("jid")),
            ])
        }
        console.table(table)
    }

    /// Tokens that somebody may hold, and who was refused.
    private static func pairing(_ status: QiValue, _ console: Console, _ now: Double) {
        guard let pairing = status.member("pairing") else { return }
        if let count = pairing.integer("outstanding"), count > 0 {
            console.line("\(count) pairing token\(count == 1 ? "" : "s") not used yet: qimesh enroll --list")
        }
        for attempt in pairing.rows("refused") { console.line(Enrollments.refusal(attempt, token: nil, now)) }
    }
}
