import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// What clients and devices can do with objects that they invent, repeat, multiply or describe at length: no harm to others.
@Suite(.timeLimit(.minutes(8))) struct PassedObjectHostileTests {
    private static let metaObject: MetaObject = {
        var builder = ObjectBuilder()
        builder.advertiseMethod("called", "(s)", returns: "s") { arguments, _ in arguments[0] }
        return builder.makeObject().metaObject
    }()

    private static func reference(_ object: UInt32, in service: UInt32, _ metaObject: MetaObject = metaObject) -> QiValue {
        .object(ObjectReference(metaObject: metaObject, serviceID: service, objectID: object, uid: .zero))
    }

    private static func value(_ objects: some Sequence<UInt32>, in service: UInt32, _ metaObject: MetaObject = metaObject) -> QiValue {
        .dynamic(QiDynamic(.list(objects.map { reference($0, in: service, metaObject) })))
    }

    /// Passes objects to the keeper; what that is answered with, empty for a reply, and which objects were let go of by then.
    private static func keep(
        _ value: QiValue, _ service: UInt32, over client: RawClient
    ) async throws -> (refusal: String, released: [UInt32]) {
        let call = try Message.call(ActionAddress(service: service, object: 1, action: Keeper.keep), id: 0xFFFF_0010, [value], "(m)")
        return try await keep(call, over: client)
    }

    private static func keep(_ call: Message, over client: RawClient) async throws -> (refusal: String, released: [UInt32]) {
        var released: [UInt32] = []
        let answer = try await client.call(call) { message in
            if message.kind == .post, message.address.action == WellKnownActions.terminate { released.append(message.address.object) }
        }
        return (answer.kind == .reply ? "" : answer.errorText, released)
    }

    /// Passes so many objects without members, written by hand.
    private static func keep(
        many count: UInt32, _ service: UInt32, over client: RawClient
    ) async throws -> (refusal: String, released: [UInt32]) {
        var payload = ByteBuffer()
        payload.writeQiString(QiString("[o]"))
        payload.writeQiUInt32(count)
        for object in 0..<count {
            payload.writeRepeatingByte(0, count: 16)
            payload.writeQiUInt32(service)
            payload.writeQiUInt32(0x8000_0000 + object)
            payload.writeRepeatingByte(0, count: ObjectUID.length)
        }
        let address = ActionAddress(service: service, object: 1, action: Keeper.keep)
        return try await keep(Message(kind: .call, id: 0xFFFF_0010, address: address, payload: payload), over: client)
    }

    private static func with(
        limits: ConnectionLimits = ConnectionLimits(), access: AccessControl? = nil,
        _ body: (_ keeper: Keeper, _ near: DirectoryServer, _ endpoint: Endpoint, _ far: FarStream) async throws -> Void
    ) async throws {
        try await FarStream.with(limits: limits, access: access) { near, endpoint, far in
            let inside = try await far.server.listen(at: #require(Endpoint("tcp://127.0.0.1:0")))
            try await withSession(inside.endpoint) { host in
                let keeper = Keeper()
                _ = try await host.register(keeper.object, as: "Keeper")
                try await body(keeper, near, endpoint, far)
            }
            await inside.close()
        }
    }

    /// Posts to `terminate` that came before the directory answered, by their objects.
    private static func released(_ client: RawClient) async throws -> [UInt32] {
        var released: [UInt32] = []
        let action = ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)
        _ = try await client.call(action, id: 0xFFFF_0009) { message in
            if message.kind == .post, message.address.action == WellKnownActions.terminate { released.append(message.address.object) }
        }
        return released
    }

    @Test func aHundredThousandObjectsInOneArgumentAreRefusedAndHarmNoOther() async throws {
        try await Self.with { keeper, near, endpoint, _ in
            try await withClient(endpoint) { client in
                let service = try await client.lookUp("pepper/Keeper")
                let answer = try await Self.keep(many: 100_000, service, over: client)
                #expect(answer.refusal.hasPrefix("limit: "), "\(answer.refusal)")
                // As many as a peer may hold of ours are let go of; the rest ends with the connection.
                #expect(answer.released.count == ConnectionLimits().maximumHostedObjects)
                #expect(try await near.objectCounts() == [0, 0, 0])
                let lives = Lives()
                try await withSession(endpoint) { session in
                    _ = try await session.service("pepper/Keeper").call("keep", arguments: [.dynamic(QiDynamic(lives.proxy()))])
                    #expect(await keeper.ask("x") == ["thing called with x"])
                }
            }
        }
    }

    @Test func aClientThatPassesAsManyAsItMayLeavesRoomForOthers() async throws {
        var limits = ConnectionLimits()
        limits.maximumPassedObjects = 8
        try await Self.with(limits: limits) { keeper, near, endpoint, _ in
            try await withClient(endpoint) { client in
                let service = try await client.lookUp("pepper/Keeper")
                let first: UInt32 = 0x8000_0000
                #expect(try await Self.keep(Self.value(first..<first + 8, in: service), service, over: client) == ("", []))
                let answer = try await Self.keep(Self.value([first + 8], in: service), service, over: client)
                #expect(answer.refusal.contains("1 objects more cannot be passed beside 8"), "\(answer.refusal)")
                #expect(answer.released == [first + 8])
                try await withClient(endpoint) { other in
                    let service = try await other.lookUp("pepper/Keeper")
                    #expect(try await Self.keep(Self.value([first], in: service), service, over: other) == ("", []))
                }
                keeper.release(.max)
                try await eventually("room again") { try await near.objectCounts() == [0, 0, 0] }
                #expect(try await Self.keep(Self.value([first + 9], in: service), service, over: client).refusal == "")
            }
        }
    }

    @Test func aDeviceThatPassesAsManyAsItMayLeavesRoomForOthers() async throws {
        let control = AccessControl(PermissionPolicy(rules: [.of(.jid("desk@test"), allow: ["Keeper"])]))
        var limits = ConnectionLimits()
        limits.maximumPassedObjects = 5000
        try await Self.with(limits: limits, access: control) { keeper, near, endpoint, far in
            try await withClient(endpoint) { client in
                let service = try await client.lookUp("pepper/Keeper")
                #expect(try await Self.keep(many: 4096, service, over: client) == ("", []))
                let answer = try await Self.keep(many: 1, service, over: client)
                #expect(answer.refusal.contains("cannot be passed beside 4096"), "\(answer.refusal)")
                // A client of the device's own passes another one.
                let inside = try await far.server.listen(at: #require(Endpoint("tcp://127.0.0.1:0")))
                let lives = Lives()
                try await withSession(inside.endpoint) { session in
                    _ = try await session.service("Keeper").call("keep", arguments: [.dynamic(QiDynamic(lives.proxy()))])
                    #expect(lives.count == 1)
                }
                await inside.close()
                keeper.release(.max)
                try await eventually("release of all") { try await near.objectCounts() == [0, 0, 0] }
            }
        }
    }

    @Test func descriptionsOfObjectsAreBoundedTogether() async throws {
        var limits = ConnectionLimits()
        limits.maximumPayload = 1 << 20
        limits.maximumArgumentBytes = 1 << 20
        try await Self.with(limits: limits) { keeper, near, endpoint, _ in
            try await withClient(endpoint) { client in
                let service = try await client.lookUp("pepper/Keeper")
                let long = MetaObject(description: String(repeating: "x", count: 400_000))
                for object in UInt32(0)..<2 {
                    #expect(try await Self.keep(Self.value([0x8000_0000 + object], in: service, long), service, over: client).refusal == "")
                }
                let answer = try await Self.keep(Self.value([0x8000_0002], in: service, long), service, over: client)
                #expect(answer.refusal.hasPrefix("limit: "), "\(answer.refusal)")
                keeper.release(.max)
                try await eventually("room again") { try await near.objectCounts() == [0, 0, 0] }
                #expect(try await Self.keep(Self.value([0x8000_0003], in: service, long), service, over: client).refusal == "")
            }
        }
    }

    /// Under one address, and with one uid: it is one object, and is released when both are let go.
    @Test func anObjectThatIsPassedTwiceIsReleasedOnce() async throws {
        try await Self.with { keeper, _, endpoint, _ in
            try await withClient(endpoint) { client in
                let service = try await client.lookUp("pepper/Keeper")
                let object: UInt32 = 0x8000_0000
                for objects in [[object, object], [object]] {
                    #expect(try await Self.keep(Self.value(objects, in: service), service, over: client) == ("", []))
                }
                #expect(keeper.proxies.count == 3)
                keeper.release(2)
                async let asked = keeper.ask("x")
                while let message = await client.next() {
                    #expect(message.address.action != WellKnownActions.terminate, "released while it is held")
                    guard message.kind == .call else { continue }
                    var payload = ByteBuffer()
                    payload.writeQiString(QiString("still here"))
                    try await client.send(Message(kind: .reply, id: message.id, address: message.address, payload: payload))
                    break
                }
                #expect(await asked == ["still here"])
                keeper.release(1)
                try await eventually("release") { try await Self.released(client) == [object] }
            }
        }
    }

    /// Calls by a device to what it was never given: objects of other numbers, services, and the node's own directory.
    @Test func aDeviceReachesNothingButWhatItWasPassed() async throws {
        try await Self.with { _, near, endpoint, far in
            _ = try await near.register(Keeper().object, as: "Private")
            let lives = Lives()
            try await withSession(endpoint) { session in
                let service = try await session.service("pepper/Keeper")
                _ = try await service.call("keep", arguments: [.dynamic(QiDynamic(lives.proxy()))])
                let given = try await near.objectsHostedForDevices()
                #expect(given.count == 1)
                var tried: [ObjectAddress] = [.serviceDirectory]
                for service in UInt32(1)...20 {
                    tried += [1, 2, 3, 0x8000_0000, 0x8000_0001, .max].map { ObjectAddress(service: service, object: $0) }
                }
                for target in tried where !given.contains(target) {
                    for action in [WellKnownActions.metaObject, WellKnownActions.registerEvent, 100, 101] {
                        let answer = try await far.callNear(ActionAddress(target, action: action))
                        #expect(answer == "The call request could not be handled.", "\(target).\(action): \(answer)")
                    }
                }
                #expect(lives.heard.isEmpty)
            }
        }
    }

    /// A device returns, as its own, the number that the node gave it for somebody's object.
    @Test func aDeviceThatNamesAnObjectOfAnothersLeadsToNoneButItsOwn() async throws {
        try await Self.with { keeper, near, endpoint, far in
            let lives = Lives()
            var liar = ObjectBuilder()
            liar.advertiseMethod("lie", "(II)", returns: "o") { arguments, _ in
                Self.reference(arguments[1].asUInt32 ?? 0, in: arguments[0].asUInt32 ?? 0)
            }
            _ = try await far.server.register(liar, as: "Liar")
            try await withSession(endpoint) { session in
                _ = try await session.service("pepper/Keeper").call("keep", arguments: [.dynamic(QiDynamic(lives.proxy()))])
                let given = try #require(try await near.objectsHostedForDevices().first)
                try await withSession(endpoint) { other in
                    let liar = try await other.service("pepper/Liar")
                    let lie = try await liar.call("lie", arguments: [.uint32(given.service), .uint32(given.object)])
                    let error = await #expect(throws: QiError.self) {
                        _ = try await ObjectProxy(qiValue: lie).call("called", arguments: [.string("x")])
                    }
                    #expect(error?.message.contains("could not be handled") == true)
                }
                #expect(lives.heard.isEmpty)
                #expect(await keeper.ask("x") == ["thing called with x"])
            }
        }
    }
}

extension DirectoryServer {
    /// Where objects are on the connections to devices.
    fileprivate func objectsHostedForDevices() async throws -> [ObjectAddress] {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            (directory.value.gateway?.links.values.compactMap(\.connection) ?? []).flatMap(\.bound.keys)
        }
    }
}

extension FarStream {
    /// What the near node answers to a call by this device: the text of the error, or that it was answered.
    fileprivate func callNear(_ action: ActionAddress) async throws -> String {
        let directory = server.directory
        return try await server.loop.run { (_) async throws(QiError) in
            guard let connection = directory.value.deviceConnections.first else { throw QiError(.offline, "no stream is open") }
            let answer = await withUnsafeContinuation { continuation in
                connection.call(action, ByteBuffer(), deadline: .now() + .seconds(10)) { continuation.resume(returning: $0) }
            }
            guard case .error(var payload) = answer else { return "\(answer)" }
            return payload.readErrorPayload()
        }
    }
}
