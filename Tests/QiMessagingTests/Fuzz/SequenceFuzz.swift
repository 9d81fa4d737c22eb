import Logging
import NIOCore
import NIOEmbedded
import QiWire

@testable import QiMessaging

/// Several messages into one connection of the outer door, in one burst or in pieces: before a peer has said who it is nothing is served,
/// afterwards what it has a right to and nothing else, and nothing of it stays behind.
///
/// Input: flags, one byte (1: the peer has to log in); steps. A step is a byte, what in its low three bits, a small number in the rest.
final class SequenceFuzz {
    private let loop = EmbeddedEventLoop()
    private let bus: Bus
    private let directory: ServiceDirectory
    private let channel: EmbeddedChannel
    private let connection: Connection
    private let hasToLogIn: Bool
    private var isLetIn = false
    private var burst = ByteBuffer()
    private var decoder = MessageDecoder()
    private var calls = 0
    private var answers = 0
    /// How often what nobody may use was used.
    private let trespasses = Trespasses()

    private final class Trespasses: @unchecked Sendable {
        // On the one thread of the loop.
        var count = 0
    }

    static func run(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let fuzz = try SequenceFuzz(hasToLogIn: input.byte() & 1 != 0)
        while !input.isEmpty { try fuzz.step(&input) }
        try fuzz.finish()
    }

    private init(hasToLogIn: Bool) throws {
        self.hasToLogIn = hasToLogIn
        bus = Bus(executor: LoopExecutor(loop), logger: Logger(label: "fuzz", factory: { _ in SwiftLogNoOpLogHandler() }))
        var rule = PermissionRule(who: [.zone(.lan)])
        rule.only = [.call: ["Echo.echo"], .read: ["Echo.level"], .subscribe: ["Echo.said"]]
        directory = ServiceDirectory(
            bus: bus, machineID: "machine", limits: Self.limits, accessControl: AccessControl(PermissionPolicy(rules: [rule])))
        bus.executor.onIdle(wake: { [unowned bus] in bus.pool.callWorker() }, idle: { [unowned bus] in bus.flushDirty() })
        channel = EmbeddedChannel(loop: loop)
        connection = Connection(
            bus: bus, channel: channel, role: .server, origin: .tcp(host: "10.0.0.2"), owner: directory, limits: Self.limits,
            authenticator: hasToLogIn ? Self.authenticate : nil)
        connection.zone = .lan
        for name in ["Echo", "Secret"] {
            var registered: Result<UInt32, QiError>?
            directory.register(object(isSecret: name == "Secret").makeObject(on: bus), as: name) { registered = $0 }
            guard case .success? = registered else { throw FuzzFinding("\(name) is not taken") }
        }
        try channel.pipeline.syncOperations.addHandler(ConnectionHandler(connection))
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/fuzz")).wait()
        loop.run()
    }

    private func object(isSecret: Bool) -> ObjectBuilder {
        var object = ObjectBuilder()
        let trespasses = trespasses
        object.advertise(immediateMethod: "echo", parameters: [.dynamic], returns: .dynamic) { call in
            if isSecret { trespasses.count += 1 }
            try call.reply(try call.next(QiValue.self))
        }
        object.advertise(immediateMethod: "hidden", parameters: [.dynamic], returns: .dynamic) { call in
            trespasses.count += 1
            try call.reply(try call.next(QiValue.self))
        }
        object.advertiseSignal("said", "(s)")
        object.advertiseProperty("level", "i", initial: .int32(1))
        return object
    }

    private static func authenticate(_ connection: Connection, _ given: Capabilities) throws(QiError) -> Capabilities {
        guard given.credentials["token"]?.value.asString == "good" else { throw QiError(.denied, "unknown user, or wrong token") }
        return Capabilities()
    }

    private static var limits: ConnectionLimits {
        var limits = ConnectionLimits()
        limits.maximumPayload = 65_536
        limits.maximumArgumentBytes = 65_536
        limits.maximumCallsInFlight = 16
        limits.maximumSubscriptions = 16
        limits.maximumLookUps = 8
        return limits
    }

    // MARK: - Steps

    private func step(_ input: inout FuzzInput) throws {
        let code = input.byte()
        let small = UInt32(code >> 3)
        switch code & 7 {
        case 0: burst.writeBytes(input.shortBytes(limit: 255))
        case 1: try add(authentication(isGood: small & 1 == 0))
        case 2: add(message(&input))
        case 3: try add(wellFormed(small, &input))
        case 4: try add(generic(small, &input))
        case 5: try deliver(burst.readableBytes)
        case 6: try deliver(min(burst.readableBytes, Int(small) + 1))
        default: loop.advanceTime(by: .milliseconds(Int64(small) * 100))
        }
    }

    private func add(_ message: Message) {
        if message.kind == .call { calls += 1 }
        burst.writeMessage(message)
    }

    private func authentication(isGood: Bool) throws -> Message {
        var map = Capabilities.ours
        map["auth_user"] = QiDynamic(.string("nao"))
        map["auth_token"] = QiDynamic(.string(isGood ? "good" : "bad"))
        if isGood { isLetIn = true }
        var payload = ByteBuffer()
        try map.write(to: &payload)
        return Message(kind: .call, id: 1, address: .authenticate, payload: payload)
    }

    private func message(_ input: inout FuzzInput) -> Message {
        let kind = MessageKind(rawValue: input.byte() % 10)
        let flags = MessageFlags(rawValue: input.byte() & 3)
        let address = ActionAddress(service: UInt32(input.byte() % 5), object: UInt32(input.byte() % 3), action: UInt32(input.byte()))
        return Message(
            kind: kind, id: UInt32(input.byte()), address: address, flags: flags, payload: ByteBuffer(bytes: input.shortBytes(limit: 255)))
    }

    /// Looks up, and calls, what it may and what it may not.
    private func wellFormed(_ which: UInt32, _ input: inout FuzzInput) throws -> Message {
        let number = input.byte()
        let service = 2 + UInt32(number & 1)
        var payload = ByteBuffer()
        switch which % 4 {
        case 0:
            payload.writeQiString(["Echo", "Secret", "Nobody"][Int(number % 3)])
            let address = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
            return Message(kind: .call, id: UInt32(number), address: address, payload: payload)
        case 1:
            return Message(kind: .call, id: UInt32(number), address: ActionAddress(.serviceDirectory, action: WellKnownActions.services))
        default:
            try payload.writeQi(.dynamic(QiDynamic(.int32(Int32(number)))), as: .dynamic)
            let address = ActionAddress(service: service, object: 1, action: 100 + which % 2)
            return Message(kind: number & 2 == 0 ? .call : .post, id: UInt32(number), address: address, payload: payload)
        }
    }

    /// A generic member with a key that is there or not, and anything behind it.
    private func generic(_ which: UInt32, _ input: inout FuzzInput) throws -> Message {
        let number = input.byte()
        let action = [0, 1, 2, 5, 6, 7, 8, 80][Int(which % 8)] as UInt32
        var payload = ByteBuffer()
        if action < 2 {
            payload.writeQiUInt32(1)
            payload.writeQiUInt32(100 + UInt32(number % 8))
            payload.writeInteger(UInt64(number), endianness: .little)
        } else {
            try payload.writeQi(.dynamic(QiDynamic(number & 1 == 0 ? .string("level") : .uint32(103))), as: .dynamic)
        }
        payload.writeBytes(input.shortBytes(limit: 64))
        let flags: MessageFlags = number & 0x80 == 0 ? [] : .dynamicPayload
        let address = ActionAddress(service: 2 + UInt32(number >> 1 & 1), object: 1, action: action)
        return Message(kind: .call, id: UInt32(number), address: address, flags: flags, payload: payload)
    }

    // MARK: - What must hold

    private func deliver(_ count: Int) throws {
        guard channel.isActive, let bytes = burst.readSlice(length: count), count > 0 else { return }
        channel.pipeline.fireChannelRead(bytes)
        channel.pipeline.fireChannelReadComplete()
        loop.run()
        loop.advanceTime(by: .milliseconds(1))
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) {
            decoder.append(bytes)
            while let message = try decoder.next() { try check(message) }
        }
        try FuzzFinding.expect(trespasses.count == 0, "what nobody may use was used")
        try FuzzFinding.expect(!hasToLogIn || isLetIn || !connection.isOpen, "open without credentials")
        try FuzzFinding.expect(
            connection.argumentBytes.total <= 2 * Self.limits.maximumPayload, "\(connection.argumentBytes.total) bytes are kept")
    }

    private func check(_ message: Message) throws {
        if message.kind == .reply { answers += 1 }
        try FuzzFinding.expect(!hasToLogIn || isLetIn || message.kind == .error, "\(message.kind) before it has said who it is")
    }

    private func finish() throws {
        try deliver(burst.readableBytes)
        do { try channel.close().wait() } catch ChannelError.alreadyClosed {}
        loop.run()
        try FuzzFinding.expect(directory.connections.isEmpty, "the connection stays behind")
        try FuzzFinding.expect(bus.argumentBytes == 0, "\(bus.argumentBytes) bytes of arguments stay behind")
        for service in directory.locals.values {
            try FuzzFinding.expect(service.subscriptions.signals.isEmpty, "a subscription stays behind")
        }
        bus.shutDown()
        loop.run()
        _ = try channel.finish(acceptAlreadyClosed: true)
    }
}
