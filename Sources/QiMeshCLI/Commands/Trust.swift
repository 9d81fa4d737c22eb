import ArgumentParser
import Foundation
import QiMesh

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
            let entry = try await control.ask(device: jid) { try await $0.trust(jid) }
            if !console.json { Self.show(entry, console) }
            guard let refused = entry.refused else {
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
            let pinned = try await control.ask(device: jid) { try await $0.acceptKey(of: jid, refused) }
            if console.json { return console.done(JSONValue(control: pinned).adding([("accepted", .bool(true))])) }
            console.line(Printable.line("pinned   \(pinned.fingerprint)"))
        }
    }

    private func forget(_ jid: String, _ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let answer = try await control.ask(device: jid) { try await $0.forgetKey(of: jid) }
            guard answer.known else {
                throw CommandFailure(.notFound, "no key of \(jid) is pinned", hint: "qimesh trust", device: jid)
            }
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line("forgot the key of \(answer.jid)"))
        }
    }

    private func list(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let rows = try await control.ask { try await $0.trusted() }
            if console.json { return console.done(.object([("trusted", JSONValue(control: rows))])) }
            if rows.isEmpty { return console.note("no key is pinned yet; the first contact with a device pins its key") }
            var table = Table(["JID", "STATE", "PINNED", "REFUSED"])
            for row in rows {
                let state: Table.Cell = row.refused == nil ? .init("pinned", .good) : .init("refused", .bad)
                table.add([.init(row.jid), state, .init(row.pinned ?? ""), .init(row.refused ?? "")])
            }
            console.table(table)
        }
    }

    private static func show(_ entry: ContactKey, _ console: Console) {
        console.line(Printable.line(entry.jid))
        console.line("pinned   " + Printable.line(entry.pinned ?? (entry.revoked ? "revoked: no key is taken" : "no key yet")))
        if let refused = entry.refused { console.line("refused  " + Printable.line(refused)) }
    }

    /// Asks a person at a terminal; nobody else can say yes this way.
    private static func asked(_ console: Console) -> Bool {
        guard !console.json, isatty(STDIN_FILENO) == 1, console.isTerminal.errors else { return false }
        console.note("Does `qimesh identity` on the other device print the refused fingerprint? Pin it from now on? [yes/no]")
        return readLine()?.lowercased() == "yes"
    }
}
