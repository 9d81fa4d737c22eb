import ArgumentParser
import QiMessaging
import QiWire

/// `qimesh get`: reads a property.
struct GetProperty: WaitingVerb {
    static let configuration = CommandConfiguration(commandName: "get", abstract: "Read a property.")

    @Argument(help: "[DEVICE/]Service.property")
    var target: String

    @OptionGroup var device: DeviceOptions
    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let target = try Target(target, device: device.name(environment))
        let reading = try target.requireMember("property")
        try await withSession(console, waitingFor: target.device) { (session) async throws(CommandFailure) in
            let session = session.forAllSteps()
            let found = try await session.find(target, readings: [reading])
            let property = try found.property(reading.member ?? "")
            let value = try await session.read(property, of: found, device: target.device)
            let json = JSONValue(.dynamic(value))
            guard console.json else { return console.result(json, type: nil) }
            console.done(.object([
                ("result", json), ("signature", .string(value.signature.text)),
                ("device", target.device.map { .string($0.text) } ?? .null),
            ]))
        }
    }
}

/// `qimesh set`: writes a property.
struct SetProperty: WaitingVerb {
    static let configuration = CommandConfiguration(commandName: "set", abstract: "Write a property.")

    @Argument(help: "[DEVICE/]Service.property")
    var target: String

    @Argument(help: "A JSON value; a bare word is a string, @FILE reads JSON, @raw:FILE sends bytes.")
    var value: String

    @OptionGroup var device: DeviceOptions
    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let target = try Target(target, device: device.name(environment))
        let reading = try target.requireMember("property")
        let typed = try CallArgument(value)
        try await withSession(console, waitingFor: target.device) { (session) async throws(CommandFailure) in
            let session = session.forAllSteps()
            let found = try await session.find(target, readings: [reading])
            let property = try found.property(reading.member ?? "")
            try await session.write(Self.fit(typed, property, found.label), to: property, of: found, device: target.device)
            if console.json { console.done() }
        }
    }

    /// The value as the property declares it: what does not fit is told here, and not by the owner's logs.
    private static func fit(_ typed: CallArgument, _ property: MetaProperty, _ label: String) throws(CommandFailure) -> QiValue {
        do throws(WireError) {
            let signature = try property.parsedSignature()
            guard signature.type != .dynamic else { return typed.value }
            let value = typed.fitting(signature.type) ?? typed.value
            let fitting = try value.converted(from: value.inferredType, to: signature.type)
            return .dynamic(QiDynamic(signature: signature, value: fitting))
        } catch {
            throw .usage("\"\(typed.text)\" is no \(TypeName.text(signature: property.signature)), which \(label).\(property.name) is")
        }
    }
}
