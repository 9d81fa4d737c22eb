import Foundation
import QiMesh

/// What `qimesh enroll --list` and `qimesh status` say of tokens.
enum Enrollments {
    static func show(_ control: ControlInterface, _ console: Console) async throws(CommandFailure) {
        let answer = try await control.ask { try await $0.enrollments() }
        let rows = answer.enrollments
        if console.json {
            let tokens = rows.map { JSONValue(control: $0).spreading("use") }
            return console.done(.object([("enrollments", .array(tokens)), ("strangers", JSONValue(control: answer.strangers))]))
        }
        let now = Date().timeIntervalSince1970
        if rows.isEmpty {
            console.note("no token was made in the last day; to make one: qimesh enroll")
        } else {
            var table = Table(["ID", "STATE", "MADE", "NAME", "USED BY", "KEY"])
            for row in rows {
                table.add([
                    .init(row.id), .init(row.state, row.state == "outstanding" ? .good : .plain),
                    .init(TimeText.ago(now - row.created)), .init(row.name ?? ""), .init(row.use?.usedBy ?? ""),
                    .init(row.use?.usedKey ?? ""),
                ])
            }
            console.table(table)
        }
        for row in rows { for attempt in row.refused { console.line(refusal(attempt, token: row.id, now)) } }
        for attempt in answer.strangers { console.line(refusal(attempt, token: nil, now)) }
    }

    /// A line about somebody who was refused.
    static func refusal(_ attempt: RefusedAttempt, token: String?, _ now: Double) -> String {
        let ago = TimeText.ago(now - attempt.at)
        var line = "! \(ago) ago: \(attempt.jid) tried to pair \(attempt.told)"
        if let token { line += " (token \(token))" }
        if attempt.knewToken { line += "; it knows the token" }
        return Printable.line(line + ", key \(attempt.fingerprint)")
    }
}
