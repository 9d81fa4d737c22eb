import ArgumentParser
import QiMessaging
import QiWire

/// `qimesh call`: calls a method.
struct Call: WaitingVerb {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "Call a method and print its result.",
        discussion: """
            An overload is named by its signature: qimesh call 'ALTextToSpeech.say::(s)' hello

            With --path, everything to the contact goes by that path until the command ends. With -v, standard error says by which path \
            the call went.

            Over a path that is known to be slow, arguments or a result that would take longer than --timeout are refused at once, those \
            up to paths.in-band-max only with --max-size.
            """)

    @Argument(help: "[DEVICE/]Service.method")
    var target: String

    @Argument(help: "JSON values; a bare word is a string, @FILE reads JSON, @raw:FILE sends bytes.")
    var arguments: [String] = []

    @Flag(help: "Do not wait for an answer; nothing tells whether it worked.")
    var post = false

    @Option(help: "Take this path to the contact, and no other: direct, proxy or in-band; exit status 8 when it cannot be had.")
    var path: String?

    @Option(help: "The longest result to accept, e.g. 500kB, 4M; between devices instead of paths.in-band-max there.")
    var maxSize: ByteCount?

    @OptionGroup var device: DeviceOptions
    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func validate() throws {
        if let path, !NodeSession.pathKinds.contains(path) { throw ValidationError("--path has to be direct, proxy or in-band") }
    }

    func perform(_ console: Console) async throws(CommandFailure) {
        let target = try Target(target, device: device.name(environment))
        let reading = try target.requireMember("method")
        var typed: [CallArgument] = []
        for argument in arguments { typed.append(try CallArgument(argument)) }
        try await withSession(console, waitingFor: target.device) { [typed] (session) async throws(CommandFailure) in
            let session = session.forAllSteps()
            if let path { try await session.hold(path, to: target.device) }
            let found = try await session.withinLimits { () async throws(CommandFailure) in
                try await session.find(target, readings: [reading])
            }
            let (method, values) = try found.method(reading.member ?? "", typed)
            if post {
                do throws(QiError) {
                    try found.proxy.post(method.fullName, arguments: values)
                } catch {
                    throw CommandFailure(error, device: target.device?.text)
                }
                // A post has no answer; one to the same peer afterwards says that it was written.
                try await session.fence(found)
                return console.json ? console.done(.object([("result", .null)])) : ()
            }
            let start = ContinuousClock.now
            let result = try await session.withinLimits { () async throws(CommandFailure) in
                try await session.call(found, method, values, device: target.device, most: maxSize?.bytes)
            }
            let took = ContinuousClock.now - start
            await Self.show(result, method, session, target, console, took: took)
        }
    }

    private static func show(
        _ result: QiValue, _ method: MetaMethod, _ session: NodeSession, _ target: Target, _ console: Console, took: Duration
    ) async {
        // What the signature cannot tell, the value does.
        let type = (try? method.parsedReturn())?.type
        let json = JSONValue(result, as: type)
        let milliseconds = (TimeText.inSeconds(took) * 10_000).rounded() / 10
        guard !console.json else {
            return console.done(.object([
                ("result", json), ("device", target.device.map { .string($0.text) } ?? .null),
                ("path", .string(await session.wayTaken(to: target.device).word)), ("ms", .number(milliseconds)),
            ]))
        }
        console.result(json, type: type)
        // Only where it is shown: it is a question to the node.
        guard console.verbosity > 0 else { return }
        let way = await session.wayTaken(to: target.device)
        console.detail("path: \(way.text)")
        console.detail("ok in \(TimeText.milliseconds(milliseconds))")
    }
}

extension Console {
    /// A value for people and pipes: a text as it is, void as nothing, everything else as JSON.
    func result(_ json: JSONValue, type: QiType?) {
        switch json {
        case .string(let text): data(text)
        case .null where type == .void: break
        default: document(json)
        }
    }
}
