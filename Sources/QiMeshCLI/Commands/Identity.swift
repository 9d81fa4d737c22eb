import ArgumentParser
import Foundation
import QiMesh

/// `qimesh identity`: who this device is to others.
struct Identity: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "identity", abstract: "The addresses and the key of this device; make it a new key.",
        subcommands: [ShowIdentity.self, RotateIdentity.self], defaultSubcommand: ShowIdentity.self)
}

/// `qimesh identity show`.
struct ShowIdentity: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "The fingerprint of this device's key, to compare with what others see, and its addresses.")

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let identity = try await control.ask { try await $0.identity() }
            if console.json { return console.done(JSONValue(control: identity)) }
            console.line(Printable.line(identity.fingerprint))
            let names = [identity.name] + identity.jids
            console.note(names.filter { !$0.isEmpty }.joined(separator: "  "))
        }
    }
}

/// `qimesh identity rotate`.
struct RotateIdentity: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Make this device a new key; the old one is gone for good.",
        discussion: """
            For a key that others may have read. Every tunnel ends, and every contact refuses this device until its owner has accepted \
            the new key there: `qimesh trust` with an address of this device.
            """)

    @Flag(help: "Do not ask.")
    var yes = false

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        guard yes || Self.asked(console) else {
            throw .usage("a new key locks this device out of all its contacts until they accept it", hint: "qimesh identity rotate --yes")
        }
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let answer = try await control.ask { try await $0.rotateKey() }
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line(answer.fingerprint))
            console.note("instead of \(answer.old)")
            guard !answer.contacts.isEmpty else { return }
            console.note("on each of \(answer.contacts.joined(separator: ", ")): qimesh trust \(word: answer.jids.first ?? "ADDRESS")")
        }
    }

    private static func asked(_ console: Console) -> Bool {
        guard !console.json, isatty(STDIN_FILENO) == 1, console.isTerminal.errors else { return false }
        console.note("Every contact will refuse this device until its owner accepts the new key. Make a new key? [yes/no]")
        return readLine()?.lowercased() == "yes"
    }
}
