import ArgumentParser
import QiMesh
import QiMessaging

/// `qimesh tunnel`: a remote directory as a local one.
struct Tunnel: WaitingVerb {
    static let configuration = CommandConfiguration(
        commandName: "tunnel",
        abstract: "Open a local directory that is the remote device's, for tools that know only plain names.",
        discussion: """
            It stays open until Ctrl-C. With --register services are registered through it too: each is in the device's own \
            directory under its plain name, and runs here. The device's policy has to allow that (`register`), and no service there \
            may have the name. It is gone there with the program that registered it; when only the path is lost, the device keeps its \
            name (paths.return-time there) and it is registered again. Every program that reaches the local directory may do what \
            this device may do there, and is not asked who it is: an address beyond this machine needs --share.
            """)

    @Argument(help: "The nickname or JID of the device.")
    var device: String

    @Option(help: "Where to listen; port 0 takes a free one.")
    var listen = "tcp://127.0.0.1:0"

    @Flag(help: "Register services with the device that are registered here.")
    var register = false

    @Flag(help: "Let programs on other machines use it, with the rights of this device.")
    var share = false

    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let request = try TunnelRequest(device, at: listen)
        let contact = request.contact
        if !request.endpoint.isLoopback {
            guard share else {
                throw .usage(
                    "\(listen) is open to every program that reaches this machine: each may do what this device may do at \(contact)",
                    hint: register
                        ? "qimesh tunnel \(word: device) --listen \(word: listen) --register --share"
                        : "qimesh tunnel \(word: device) --listen \(word: listen) --share")
            }
            console.note("every program that reaches \(listen) may do what this device may do at \(contact), and is not asked who it is")
        }
        try await withControl(console) { (control, session) async throws(CommandFailure) in
            let watch = register ? try await HostedWatch(control) : nil
            defer { watch?.end() }
            Self.show(try await request.open(control, session, ticket: watch?.ticket, wait: wait), console)
            // The node closes the tunnel when our connection ends, be it by Ctrl-C.
            let failure = await Self.ended(session, watch) { console.note($0.text(at: contact)) }
            if let failure { throw failure }
        }
    }

    /// Returns when the connection to the node has ended, and tells meanwhile what becomes of services.
    private static func ended(
        _ session: NodeSession, _ watch: HostedWatch?, _ tell: @escaping @Sendable (HostedWatch.News) -> Void
    ) async -> CommandFailure? {
        await withTaskGroup(of: CommandFailure?.self) { group in
            if let watch {
                group.addTask {
                    for await news in watch.news { tell(news) }
                    return nil
                }
            }
            let failure = await session.ended()
            group.cancelAll()
            return failure
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
