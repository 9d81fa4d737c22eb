import ArgumentParser
import Foundation
import QiMesh
import QiWire

/// `qimesh trust`: the keys pinned to contacts, and taking a changed one.
struct Trust: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "trust", abstract: "The pinned keys of contacts; accept a changed one.",
        discussion: """
            Compare the refused fingerprint with what `qimesh identity` prints on the other device, by a way that the XMPP server \
            cannot change, before accepting it. On a terminal the command asks; elsewhere only --accept accepts. A key that is forgotten \
            makes room for the next one the contact shows; `qimesh revoke` ends a contact's access.
            """)

    @Argument(help: "The name or address of a contact; without it all pinned keys are listed.")
    var jid: String?

    @Flag(help: "Pin the refused key from now on.")
    var accept = false

    @Flag(help: "Forget the pinned key; the next one the contact shows is pinned.")
    var forget = false

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func validate() throws {
        if forget, accept || jid == nil { throw ValidationError("--forget goes with the name or address of a contact, and without --accept") }
    }

    func perform(_ console: Console) async throws(CommandFailure) {
        if forget, let jid { return try await forget(jid, console) }
        guard let jid else {
            guard !accept else { throw .usage("--accept needs the name or address of a contact: qimesh trust JID --accept", hint: "qimesh trust") }
            return try await list(console)
        }
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let entry = try await control.call("trust", [.string(jid)], device: jid)
            let refused = entry.text("refused")
            if !console.json { Self.show(entry, jid, console) }
            guard !refused.isEmpty else {
                guard !accept else {
                    throw CommandFailure(.notFound, "no refused key of \(jid) is waiting", hint: "qimesh devices", device: jid)
                }
                if console.json { console.done(JSONValue(control: entry).adding([("accepted", .bool(false))])) }
                return
            }
            guard accept || Self.asked(console) else {
                if console.json { return console.done(JSONValue(control: entry).adding([("accepted", .bool(false))])) }
                return console.note("the key stays refused; to accept it: qimesh trust \(word: jid) --accept")
            }
            // By fingerprint: another key that came meanwhile is not what was looked at.
            let pinned = try await control.call("acceptKey", [.string(jid), .string(refused)], device: jid)
            if console.json { return console.done(JSONValue(control: pinned).adding([("accepted", .bool(true))])) }
            console.line(Printable.line("pinned   \(pinned.text("fingerprint"))"))
        }
    }

    private func forget(_ jid: String, _ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let answer = try await control.call("forgetKey", [.string(jid)], device: jid)
            guard answer.member("known")?.asBool == true else {
                throw CommandFailure(.notFound, "no key of \(jid) is pinned", hint: "qimesh trust", device: jid)
            }
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line("forgot the key of \(answer.text("jid"))"))
        }
    }

    private func list(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let rows = try await control.list("trusted")
            if console.json { return console.done(.object([("trusted", .array(rows.map { JSONValue(control: $0) }))])) }
            if rows.isEmpty { return console.note("no key is pinned yet; the first contact with a device pins its key") }
            var table = Table(["JID", "STATE", "PINNED", "REFUSED"])
            for row in rows {
                let refused = row.text("refused")
                let state: Table.Cell = refused.isEmpty ? .init("pinned", .good) : .init("refused", .bad)
                table.add([.init(row.text("jid")), state, .init(row.text("pinned")), .init(refused)])
            }
            console.table(table)
        }
    }

    private static func show(_ entry: QiValue, _ jid: String, _ console: Console) {
        let pinned = entry.text("pinned")
        let refused = entry.text("refused")
        console.line(Printable.line(entry.text("jid").isEmpty ? jid : entry.text("jid")))
        let absence = entry.member("revoked")?.asBool == true ? "revoked: no key is taken" : "no key yet"
        console.line("pinned   " + (pinned.isEmpty ? absence : Printable.line(pinned)))
        if !refused.isEmpty { console.line("refused  " + Printable.line(refused)) }
    }

    /// Asks a person at a terminal; nobody else can say yes this way.
    private static func asked(_ console: Console) -> Bool {
        guard !console.json, isatty(STDIN_FILENO) == 1, console.isTerminal.errors else { return false }
        console.note("Does `qimesh identity` on the other device print the refused fingerprint? Pin it from now on? [yes/no]")
        return readLine()?.lowercased() == "yes"
    }
}
