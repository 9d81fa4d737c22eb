import ArgumentParser
import QiMessaging
import QiWire

/// `qimesh call`: calls a method.
struct Call: WaitingVerb {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "Call a method and print its result.",
        discussion: "An overload is named by its signature: qimesh call 'ALTextToSpeech.say::(s)' hello")

    @Argument(help: "[DEVICE/]Service.method")
    var target: String

    @Argument(help: "JSON values; a bare word is a string, @FILE reads JSON, @raw:FILE sends bytes.")
    var arguments: [String] = []

    @Flag(help: "Do not wait for an answer; nothing tells whether it worked.")
    var post = false

    @OptionGroup var device: DeviceOptions
    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let target = try Target(target, device: device.name(environment))
        let reading = try target.requireMember("method")
        var typed: [CallArgument] = []
        for argument in arguments { typed.append(try CallArgument(argument)) }
        try await withSession(console, waitingFor: target.device) { [typed] (session) async throws(CommandFailure) in
            let session = session.forAllSteps()
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
                try await session.call(found, method, values, device: target.device)
            }
            Self.show(result, method, session, target, console, took: ContinuousClock.now - start)
        }
    }

    private static func show(
        _ result: QiValue, _ method: MetaMethod, _ session: NodeSession, _ target: Target, _ console: Console, took: Duration
    ) {
        // What the signature cannot tell, the value does.
        let type = (try? method.parsedReturn())?.type
        let json = JSONValue(result, as: type)
        let milliseconds = (TimeText.inSeconds(took) * 10_000).rounded() / 10
        guard !console.json else {
            return console.done(.object([
                ("result", json), ("device", target.device.map { .string($0.text) } ?? .null),
                ("path", .string(session.path(to: target.device))), ("ms", .number(milliseconds)),
            ]))
        }
        console.result(json, type: type)
        console.detail("path: \(session.path(to: target.device))")
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
