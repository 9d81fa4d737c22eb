import Foundation
import QiWire

/// What `qimesh enroll --list` and `qimesh status` say of tokens.
enum Enrollments {
    static func show(_ control: ControlInterface, _ console: Console) async throws(CommandFailure) {
        let answer = try await control.call("enrollments")
        if console.json { return console.done(JSONValue(control: answer)) }
        let now = Date().timeIntervalSince1970
        let rows = answer.rows("enrollments")
        if rows.isEmpty {
            console.note("no token was made in the last day; to make one: qimesh enroll")
        } else {
            var table = Table(["ID", "STATE", "MADE", "NAME", "USED BY", "KEY"])
            for row in rows {
                let state = row.text("state")
                table.add([
                    .init(row.text("id")), .init(state, state == "outstanding" ? .good : .plain),
                    .init(TimeText.since(row.number("created"), now)), .init(row.text("name")),
                    .init(row.text("usedBy")), .init(row.text("usedKey")),
                ])
            }
            console.table(table)
        }
        for row in rows { for attempt in row.rows("refused") { console.line(refusal(attempt, token: row.text("id"), now)) } }
        for attempt in answer.rows("strangers") { console.line(refusal(attempt, token: nil, now)) }
    }

    /// A line about somebody who was refused.
    static func refusal(_ attempt: QiValue, token: String?, _ now: Double) -> String {
        let ago = TimeText.since(attempt.number("at"), now)
        var line = "! \(ago) ago: \(attempt.text("jid")) tried to pair \(attempt.text("told"))"
        if let token { line += " (token \(token))" }
        if attempt.member("knewToken")?.asBool == true { line += "; it knows the token" }
        return Printable.line(line + ", key \(attempt.text("fingerprint"))")
    }
}
