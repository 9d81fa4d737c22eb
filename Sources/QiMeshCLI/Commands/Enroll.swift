import ArgumentParser
import Foundation
import QiMesh

/// `qimesh enroll`: makes a token that lets one other device in.
struct Enroll: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "enroll", abstract: "Make a token with which one other device pairs with this one.",
        discussion: """
            The token works once and for ten minutes. Whoever has it becomes a contact: show it to the other device alone, as text or \
            as the QR code, and enter it there with `qimesh pair`. --list shows what became of tokens, and who was refused.
            """)

    @Option(help: "What the device that uses the token is called here (default: the part of its address before the @).")
    var name: String?

    @Option(name: .customLong("as"), help: "The account to pair with, if this node has several.")
    var account: String?

    @Option(help: "How long the token is good for, at most 30m (default: 10m).")
    var valid: TimeSpan?

    @Flag(inversion: .prefixedNo, help: "Draw the QR code (default: on a terminal).")
    var qr: Bool?

    @Flag(help: "List the tokens of the last day instead of making one.")
    var list = false

    @Option(help: "Take a token back that nobody has used, by its id, or `all`.")
    var cancel: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func validate() throws {
        if list, cancel != nil { throw ValidationError("--list and --cancel are two commands") }
        if let valid, valid.duration < .seconds(1) || valid.duration > .seconds(1_800) {
            throw ValidationError("--valid has to be between 1s and 30m")
        }
    }

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            if list { return try await Enrollments.show(control, console) }
            if let cancel { return try await take(cancel, back: control, console) }
            let (name, account) = (name?.nilIfEmpty, account?.nilIfEmpty)
            let seconds = valid.map { Int($0.duration.components.seconds) }
            let answer = try await control.ask {
                try await $0.enroll(name: name, account: account, seconds: seconds)
            }
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line(answer.token))
            let lifetime = (answer.expires - Date().timeIntervalSince1970).rounded()
            console.note("good once, for \(TimeText.ago(lifetime)); there: qimesh pair; it asks for this line")
            // Last, so that all of it is to be seen where there are few lines.
            defer { if let code = code(answer.token, console) { console.picture(code) } }
            if !answer.online { console.note("this node is not connected to its server now; see: qimesh status") }
        }
    }

    private func take(_ id: String, back control: ControlInterface, _ console: Console) async throws(CommandFailure) {
        let answer = try await control.ask { try await $0.cancelEnrollment(id == "all" ? nil : id) }
        if console.json { return console.done(JSONValue(control: answer)) }
        console.line("cancelled \(answer.cancelled)")
    }

    /// The QR code, where it is wanted and fits.
    private func code(_ token: String, _ console: Console) -> [String]? {
        guard qr ?? console.isTerminal.errors else { return nil }
        guard let code = QRCode(Array(token.utf8)) else {
            console.note("the token is too long for a QR code")
            return nil
        }
        let border = code.border(width: console.errorSize?.columns, height: console.errorSize?.lines)
        guard border != nil || qr != nil else {
            console.note(
                "the terminal is too small for the QR code, which takes \(code.terminalWidth(.narrow)) columns and "
                    + "\(code.terminalHeight(.narrow) + 1) lines; to draw it all the same: qimesh enroll --qr")
            return nil
        }
        let colour = output.color.isOn(terminal: console.isTerminal.errors, environment: environment)
        return code.terminalLines(colour: colour, border ?? .full)
    }
}
