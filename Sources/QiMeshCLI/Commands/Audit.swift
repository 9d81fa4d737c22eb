import ArgumentParser
import Foundation
import QiMesh
import QiMessaging

/// `qimesh audit`: who asked for what.
struct Audit: Verb {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Who asked for what, when, by which way, and which rule decided.",
        discussion: """
            Reads the audit files of this user's node and of its gateway, whether they run or not: denials and changes, and all calls \
            where the policy says `audit: { calls: all }`. Denials of one caller that repeat are one line with their number.
            """)

    @Option(help: "Only this caller; may hold *.") var who: String?
    @Option(help: "Only this target; may hold *.") var target: String?
    @Option(help: "Only what is newer: a time span such as 10m or 2h, or a time such as 2026-11-26T12:00:00Z.") var since: String?
    @Flag(help: "Only what was denied.") var denied = false
    @Option(help: "Only this kind of event: denied, limited, call, policy-reload, pair, revoke, … May hold *.") var event: String?
    @Option(name: .shortAndLong, help: "The most to print; the newest.") var count = 1000
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...1_000_000).contains(count) else { throw ValidationError("--count must be between 1 and 1000000") }
    }

    func perform(_ console: Console) async throws(CommandFailure) {
        let filter = Filter(who: who, target: target, event: event, since: try Self.time(since, now: Date()), isDenied: denied)
        var found: [AuditLine] = []
        let damaged: Int
        do throws(MeshError) {
            let paths = try MeshPaths.current()
            damaged = try AuditReader([paths.auditFile, paths.gatewayAuditFile]).read { line in
                guard filter.takes(line) else { return }
                found.append(line)
                if found.count >= 2 * count { found.removeFirst(found.count - count) }
            }
        } catch {
            // No file yet: nothing was written down since the node was set up.
            guard error.code == .notFound else { throw CommandFailure(error) }
            damaged = 0
        }
        let lines = found.suffix(count)
        if damaged > 0 { console.note("\(damaged) lines could not be read") }
        if console.json { return console.done(.object([("records", .array(lines.map(Self.json)))])) }
        if lines.isEmpty { return console.note("nothing of that kind is in the audit") }
        console.table(Self.table(lines))
    }

    /// What is looked for.
    struct Filter {
        var who: String?
        var target: String?
        var event: String?
        var since: Date?
        var isDenied = false

        func takes(_ line: AuditLine) -> Bool {
            func matches(_ pattern: String?, _ text: String) -> Bool { pattern.map { Glob.matches($0, text) } ?? true }
            return matches(who, line.record.principal) && matches(target, line.record.target) && matches(event, line.record.event)
                && (since.map { line.time >= $0 } ?? true) && (!isDenied || !line.record.isAllowed)
        }
    }

    static func time(_ text: String?, now: Date) throws(CommandFailure) -> Date? {
        guard let text else { return nil }
        if let span = TimeSpan(argument: text) { return now - TimeText.inSeconds(span.duration) }
        if let date = try? Date(text, strategy: .iso8601) { return date }
        throw .usage("\"\(text)\" is no time, such as 10m, 2h, 2026-11-26T12:00:00Z")
    }

    static func table(_ lines: some Sequence<AuditLine>) -> Table {
        var table = Table(["TIME", "EVENT", "WHO", "ZONE", "ACCESS", "TARGET", "DECISION", "RULE", "PATH", .init("DETAIL", .list)])
        for line in lines {
            let record = line.record
            table.add([
                .init(line.timeText), .init(record.event), .init(record.principal), .init(record.zone.rawValue), .init(record.access),
                .init(record.target), record.isAllowed ? .init("allow", .good) : .init("deny", .bad),
                .init(record.rule.map { "\($0)" } ?? ""), .init(record.path), .init(record.detail ?? ""),
            ])
        }
        return table
    }

    static func json(_ line: AuditLine) -> JSONValue {
        let record = line.record
        let rule: JSONValue = record.rule.map { .integer(Int64($0)) } ?? .null
        let detail: JSONValue = record.detail.map { .string($0) } ?? .null
        return .object([
            ("time", .string(line.timeText)), ("event", .string(record.event)), ("principal", .string(record.principal)),
            ("zone", .string(record.zone.rawValue)), ("target", .string(record.target)), ("access", .string(record.access)),
            ("decision", .string(record.isAllowed ? "allow" : "deny")), ("rule", rule), ("path", .string(record.path)),
            ("detail", detail), ("count", .integer(Int64(line.count ?? 1))),
        ])
    }
}
