import ArgumentParser
import Foundation
import QiMesh
import QiMessaging

/// `qimesh pair`: the other side of `qimesh enroll`.
struct Pair: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "pair", abstract: "Pair with the device that made a token.",
        discussion: """
            Both devices become contacts of each other, each with a name and with the other's key pinned. Nothing but the token is \
            needed. A device that does not answer is waited for. Exit status 4: the token was refused; 5: nobody answered.
            """)

    @Argument(help: "The token of `qimesh enroll`; without it, or with -, it is read from the standard input, which others do not see.")
    var token: String?

    @Option(help: "What the device is called here (default: the name in the token).")
    var name: String?

    @Option(name: .customLong("as"), help: "The account to pair with, if this node has several.")
    var account: String?

    @Option(help: "The longest to wait for the device to answer, at most 24h (default: 10m).")
    var waitOnline: TimeSpan?

    private var wait: Duration { waitOnline?.duration ?? .seconds(600) }

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func validate() throws {
        guard wait >= .seconds(1), wait <= .seconds(86_400) else {
            throw ValidationError("--wait-online has to be between 1s and 24h")
        }
    }

    func perform(_ console: Console) async throws(CommandFailure) {
        let token = try entered(console)
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let ticket = String(UInt64.random(in: .min ... .max), radix: 36)
            // Held until the answer is here: what the node does meanwhile.
            let steps = try await Self.steps(of: ticket, control, console)
            defer { steps?.disconnect() }
            let (name, account, seconds) = (name?.nilIfEmpty, account?.nilIfEmpty, Int(wait.components.seconds))
            // After the wait the servers may need a little to make the contact.
            let answer = try await control.ask(limit: wait + .seconds(60), device: Self.device(in: token)) {
                try await $0.pair(token, name: name, account: account, seconds: seconds, ticket: ticket)
            }
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line("paired \(answer.name)  \(answer.jid)  \(answer.fingerprint)"))
            console.note("try: qimesh ls \(word: answer.name)")
        }
    }

    /// The token as typed, pasted or piped.
    private func entered(_ console: Console) throws(CommandFailure) -> String {
        if let token, token != "-" { return token }
        if isatty(STDIN_FILENO) == 1 { console.note("The line that `qimesh enroll` printed on the other device:") }
        guard let line = readLine(), !line.allSatisfy(\.isWhitespace) else {
            throw .usage("no token was entered", hint: "on the other device: qimesh enroll")
        }
        return line
    }

    /// The address in a token, for messages: never the token itself.
    static func device(in token: String) -> String {
        let address = token.drop { $0.isWhitespace }.dropFirst("qimesh:".count).prefix { $0 != "/" }
        return address.removingPercentEncoding ?? "the device"
    }

    private static func steps(
        of ticket: String, _ control: ControlInterface, _ console: Console
    ) async throws(CommandFailure) -> SignalLink? {
        guard !console.quiet, !console.json else { return nil }
        do throws(QiError) {
            return try await control.proxy.pairing.connect { told, step in
                guard told == ticket else { return }
                console.progress("")
                console.note(step)
            }
        } catch {
            throw CommandFailure(error)
        }
    }
}
