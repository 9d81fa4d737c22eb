import ArgumentParser
import QiMesh
import QiMessaging

/// `qimesh tunnel`: a remote directory as a local one.
struct Tunnel: WaitingVerb {
    static let configuration = CommandConfiguration(
        commandName: "tunnel",
        abstract: "Open a local directory that is the remote device's, for tools that know only plain names.",
        discussion: """
            It stays open until Ctrl-C. Services cannot be registered through it. Every program that reaches it may do what this device \
            may do there, and is not asked who it is: an address beyond this machine needs --share.
            """)

    @Argument(help: "The nickname or JID of the device.")
    var device: String

    @Option(help: "Where to listen; port 0 takes a free one.")
    var listen = "tcp://127.0.0.1:0"

    @Flag(help: "Let programs on other machines use it, with the rights of this device.")
    var share = false

    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        guard case .contact(let contact) = try DeviceName(device) else {
            throw .usage("\(device) is a directory already", hint: "qimesh ls \(word: device)")
        }
        guard let endpoint = Endpoint.typed(listen) else {
            throw .usage("\"\(listen)\" is not an address to listen at: tcp://HOST:PORT or unix:/PATH")
        }
        if !endpoint.isLoopback {
            guard share else {
                throw .usage(
                    "\(listen) is open to every program that reaches this machine: each may do what this device may do at \(contact)",
                    hint: "qimesh tunnel \(word: device) --listen \(word: listen) --share")
            }
            console.note("every program that reaches \(listen) may do what this device may do at \(contact), and is not asked who it is")
        }
        try await withControl(console) { (control, session) async throws(CommandFailure) in
            if let limit = wait.waitOnline { try await session.waitOnline(.contact(contact), atMost: limit.duration) }
            let opened: OpenedTunnel
            do throws(CommandFailure) {
                opened = try await control.ask(limit: control.patience.device, device: contact) {
                    try await $0.openTunnel(to: contact, at: endpoint.text)
                }
            } catch {
                throw await session.judged(error, contact: contact)
            }
            Self.show(opened, console)
            // The node closes the tunnel when our connection ends, be it by Ctrl-C.
            if let failure = await session.ended() { throw failure }
        }
    }

    private static func show(_ opened: OpenedTunnel, _ console: Console) {
        if console.json { return console.done(JSONValue(control: opened)) }
        let url = opened.url
        console.line(Printable.line(url))
        console.note("\(opened.device) by \(opened.path); Ctrl-C closes it")
        console.note("for example: qimesh ls --url \(word: url)")
        console.note("python: session.connect(\"\(url)\")")
    }
}
