import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Every request of `l_probes.json` against an object of the described shape in our directory: the answers are of libqi's types,
/// flags and values, but for the deviations below, each with its reason (wire reference §32, item 9).
@Suite(.timeLimit(.minutes(8)))
struct ProbeTests {
    /// What we answer instead of what libqi 3.1.5 does.
    private enum Deviation {
        /// A value of another signature.
        case value(Signature, QiValue)
        /// A dynamic without a signature.
        case emptyDynamic
    }

    private static let pythons = "libqi's answer went through Python, which has one int, no optionals, no bytes in `m` and no named tuples"

    private static let deviations: [String: (deviation: Deviation, reason: String)] = [
        "dyn(value of signature '')": (.emptyDynamic, "libqi needs the value to hand it to Python; an echo needs none"),
        "dyn(value of signature '_')": (.value("_", .void), pythons),
        "dyn(value of signature '#i')": (.value("#i", .list([.int32(1), .int32(2)])), pythons),
        "dyn(value of signature '+i')": (.value("+i", .optional(.int32(3))), pythons),
        "dyn(value of signature 'm')": (.value("i", .int32(3)), pythons),
        "dyn(value of signature 'r')": (.value("r", .raw(ByteBuffer(bytes: [0, 255]))), pythons),
        "dyn(value of signature '(is)<P,x,y>')": (.value("(is)<P,x,y>", .tuple([.int32(1), .string("t")])), pythons),
        "va with (ii)": (.value("[m]", .list([.int32(3), .int32(4)])), pythons),
    ]

    /// The object that the recording was made against; ids follow from the order.
    static func probeObject() -> ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("dyn", "(m)", returns: "m") { arguments, _ in arguments[0] }
        builder.advertiseMethod("fire", "()") { _, context in
            try context.object.emit("sig", [.int32(1), .string("a")])
            return .void
        }
        builder.advertiseMethod("firePair", "()") { _, context in
            try context.object.emit("pair", [.tuple([.int32(1), .int32(2)])])
            return .void
        }
        builder.advertiseMethod("inc", "(i)", returns: "i") { arguments, _ in .int32(Int32((arguments[0].asInt ?? 0) + 1)) }
        builder.advertiseProperty("level", "i", initial: .int32(3))
        builder.advertiseSignal("pair", "((ii)<P,x,y>)")
        builder.advertiseSignal("sig", "(is)")
        builder.advertiseMethod("strings", "([s])", returns: "[s]") { arguments, _ in arguments[0] }
        builder.advertiseMethod("va", "m", returns: "m") { arguments, _ in .list(arguments.map { .dynamic($0) }) }
        return builder
    }

    @Test func answersAreLibqis() async throws {
        try await withDirectory { directory, endpoint in
            let hosted = try await directory.register(Self.probeObject(), as: "Probe")
            #expect(hosted.serviceID == 2)
            var clients: [Int: RawClient] = [:]
            var used: Set<String> = []
            for probe in try RecordedVectors.probes() {
                let client: RawClient
                if let known = clients[probe.connection] {
                    client = known
                } else {
                    client = try await RawClient(endpoint)
                    clients[probe.connection] = client
                    if probe.connection >= 7 { try await client.authenticate(Self.capabilities(of: probe)) }
                }
                if probe.title == "services after the registering socket closed" { try await clients[7]?.close() }
                if Self.deviations[probe.title] != nil { used.insert(probe.title) }
                try await check(probe, client)
            }
            #expect(used == Set(Self.deviations.keys), "a deviation that no probe has")
            for client in clients.values { try? await client.close() }
        }
    }

    private static func capabilities(of probe: Probe) -> Capabilities {
        var capabilities = Capabilities.ours
        if probe.title.contains("does not advertise RelativeEndpointURI") {
            capabilities[Capabilities.Name.relativeEndpointURI] = nil
        }
        return capabilities
    }

    private func check(_ probe: Probe, _ client: RawClient) async throws {
        for text in probe.sent { try await client.send(bytes(text)) }
        if probe.closed == true {
            let message = await client.next()
            #expect(message == nil, "\(probe.title)")
            return
        }
        let deviation = Self.deviations[probe.title]?.deviation
        let expected = try probe.received.map { (try frame($0.hex), $0.payloadSignature) }
        var given: [Message] = []
        while given.count < expected.count, let message = try await next(client) { given.append(message) }
        // Answers come in the order of the questions, so what was too much is here before this one.
        _ = try await client.call(
            ActionAddress(.serviceDirectory, action: WellKnownActions.machineID), id: 0xFFFF_0003, others: { given.append($0) })
        #expect(given.count == expected.count, "\(probe.title): \(given)")
        for (message, signature) in expected {
            let found = given.firstIndex {
                message.kind.isAnswer
                    ? $0.kind.isAnswer && $0.id == message.id : $0.kind == message.kind && traceKind($0) == traceKind(message)
            }
            guard let index = found else {
                Issue.record("\(probe.title): no \(message.kind) among \(given)")
                continue
            }
            try compare(given.remove(at: index), message, signature, deviation, probe.title)
        }
    }

    /// The next frame. Who registered a service without an endpoint is asked for its metaobject, and tells it.
    private func next(_ client: RawClient) async throws -> Message? {
        while let message = await client.next() {
            guard message.kind == .call else { return message }
            #expect(message.address.action == WellKnownActions.metaObject)
            var payload = ByteBuffer()
            try payload.writeQi(MetaObject.generic.qiValue, as: MetaObject.signature.type)
            try await client.send(message.answer(.reply, payload: payload))
        }
        return nil
    }

    private func compare(
        _ given: Message, _ expected: Message, _ signature: String?, _ deviation: Deviation?, _ title: String
    ) throws {
        #expect(given.address == expected.address, "\(title)")
        if case .emptyDynamic = deviation {
            #expect(given.kind == .reply && given.payload == ByteBuffer(repeating: 0, count: 4), "\(title)")
            return
        }
        #expect(given.kind == expected.kind, "\(title)")
        guard given.kind == expected.kind, given.kind != .error else {
            #expect(!given.errorText.isEmpty, "\(title)")
            return
        }
        #expect(given.flags == expected.flags, "\(title)")
        if case .value(let signature, let value) = deviation {
            guard case .dynamic(let dynamic) = try given.value("m") else {
                Issue.record("\(title): no dynamic")
                return
            }
            let inner = dynamic.unwrapped()
            #expect(inner.signature.text == signature.text && inner.value.canonical == value, "\(title): \(dynamic)")
            return
        }
        let type = try Signature(expected.flags.contains(.dynamicPayload) ? "m" : signature ?? "v")
        let (ours, theirs) = (try given.value(type), try expected.value(type))
        if case .dynamic(let ours) = ours, case .dynamic(let theirs) = theirs {
            #expect(ours.signature.text == theirs.signature.text, "\(title)")
        }
        #expect(masked(ours, type) == masked(theirs, type), "\(title)")
    }

    /// Which of a call's two trace events this is; their order is not fixed (wire reference §20).
    private func traceKind(_ message: Message) -> Int64? {
        guard message.address.action == WellKnownActions.traceObject else { return nil }
        return (try? message.value(MetaObject.traceSignature))?.asTuple?.first?.asTuple?[1].asInt
    }

    /// What differs from run to run taken out: link ids, the machine id, and of a ServiceInfo all but name and id.
    private func masked(_ value: QiValue, _ signature: Signature) -> QiValue {
        switch (value, signature.text) {
        case (.uint64, _), (.string, "s"): .void
        case (.tuple(let trace), MetaObject.traceSignature.text):
            // Of a trace: its id, kind and member, and the content, which in libqi is what Python gave and not yet what was declared.
            .list(Array((trace.first?.asTuple ?? []).prefix(4)).map { $0.asInt.map { .int64($0) } ?? $0.canonical })
        case (.tuple(let members), ServiceInfo.signature.text): .tuple(Array(members.prefix(2)))
        case (.list(let elements), Signature(.list(ServiceInfo.signature.type)).text):
            .list(elements.map { masked($0, ServiceInfo.signature) })
        default: value.canonical
        }
    }
}
