import Logging
import NIOCore
import NIOEmbedded
import QiWire

@testable import QiMessaging

/// Three peers do whatever they like to one directory: a fourth is served all the same, and nothing of theirs stays behind.
///
/// Input: steps. Each begins with a byte: which peer in its low two bits (3: the third as well), what in the next two, small numbers
/// in the rest.
final class DirectoryFuzz {
    private let loop = EmbeddedEventLoop()
    private let bus: Bus
    private let directory: ServiceDirectory
    private var peers: [EmbeddedChannel] = []
    private let bystander: EmbeddedChannel
    private var decoders: [ObjectIdentifier: MessageDecoder] = [:]
    private static let quiet = Logger(label: "fuzz", factory: { _ in SwiftLogNoOpLogHandler() })

    static func run(_ bytes: [UInt8]) throws {
        let fuzz = try DirectoryFuzz()
        var input = FuzzInput(bytes)
        // More steps than a short input has are no new ones.
        while !input.isEmpty { try fuzz.step(&input) }
        try fuzz.finish()
    }

    private init() throws {
        bus = Bus(executor: LoopExecutor(loop), logger: Self.quiet)
        directory = ServiceDirectory(bus: bus, machineID: "machine", limits: Self.limits)
        bystander = EmbeddedChannel(loop: loop)
        bus.executor.onIdle(wake: { [unowned bus] in bus.pool.callWorker() }, idle: { [unowned bus] in bus.flushDirty() })
        var echo = ObjectBuilder()
        // Immediate: there is no pool, and nothing to wait for.
        echo.advertise(immediateMethod: "echo", parameters: [.string], returns: .string) { call in
            try call.reply(try call.next(String.self))
        }
        echo.advertiseSignal("said", "(s)")
        echo.advertiseProperty("level", "i", initial: .int32(1))
        var registered: Result<UInt32, QiError>?
        directory.register(echo.makeObject(on: bus), as: "Echo") { registered = $0 }
        guard case .success? = registered else { throw FuzzFinding("the directory does not take a service of its own process") }
        try connect(bystander, .unix(uid: 0))
        try authenticate(bystander)
        for host in ["127.0.0.1", "10.0.0.2", "10.0.0.3"] {
            let channel = EmbeddedChannel(loop: loop)
            try connect(channel, .tcp(host: host))
            peers.append(channel)
        }
        try authenticate(peers[0])
    }

    /// Small, so that they are reached.
    private static var limits: ConnectionLimits {
        var limits = ConnectionLimits()
        limits.maximumPayload = 65_536
        limits.maximumCallsInFlight = 16
        limits.maximumHostedObjects = 32
        limits.maximumSubscriptions = 16
        limits.maximumServices = 8
        limits.maximumLookUps = 8
        return limits
    }

    private func connect(_ channel: EmbeddedChannel, _ origin: ConnectionOrigin) throws {
        _ = try QiPipeline.install(
            on: channel, bus: bus, role: .server, origin: origin, owner: directory, limits: Self.limits)
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/fuzz")).wait()
        decoders[ObjectIdentifier(channel)] = MessageDecoder()
        loop.run()
    }

    private func authenticate(_ channel: EmbeddedChannel) throws {
        var payload = ByteBuffer()
        try Capabilities.ours.write(to: &payload)
        try send(Message(kind: .call, id: 1, address: .authenticate, payload: payload), on: channel)
    }

    // MARK: - Steps

    private func step(_ input: inout FuzzInput) throws {
        let code = input.byte()
        let channel = peers[min(2, Int(code & 3))]
        let small = UInt32(code >> 4)
        switch code >> 2 & 3 {
        case 0: try send(ByteBuffer(bytes: input.shortBytes(limit: 255)), on: channel)
        case 1: try send(message(&input, payload: ByteBuffer(bytes: input.shortBytes(limit: 255))), on: channel)
        case 2: try send(call(small, &input), on: channel)
        default: try control(small, channel)
        }
    }

    /// Any message, its numbers from the ranges that mean something here.
    private func message(_ input: inout FuzzInput, payload: ByteBuffer) -> Message {
        let kind = MessageKind(rawValue: input.byte() % 10)
        let flags = MessageFlags(rawValue: input.byte())
        let address = ActionAddress(
            service: Self.number(input.byte()), object: Self.number(input.byte()), action: Self.number(input.byte()))
        return Message(kind: kind, id: UInt32(input.byte()), address: address, flags: flags, payload: payload)
    }

    private static func number(_ byte: UInt8) -> UInt32 {
        switch byte {
        case 0..<0xC0: UInt32(byte)
        case 0xC0..<0xE0: LookUpIDs.first + UInt32(byte - 0xC0)
        case 0xE0..<0xF0: LookUpIDs.firstHidden + UInt32(byte - 0xE0)
        default: UInt32.max - UInt32(0xFF - byte)
        }
    }

    /// A well-formed call to the directory, so that what lies behind the decoding is reached.
    private func call(_ which: UInt32, _ input: inout FuzzInput) throws -> Message {
        let number = input.byte()
        let name = "S\(number % 8)"
        let address = { (action: UInt32) in ActionAddress(.serviceDirectory, action: action) }
        let info = ServiceInfo(
            name: name, serviceID: UInt32(number), machineID: number & 16 == 0 ? "machine" : "other", processID: 1,
            endpoints: number & 32 == 0 ? ["tcp://127.0.0.1:9"] : ["tcp://10.0.0.9:9"], sessionID: "session")
        let id = UInt32(number)
        switch which {
        case 0: return try Self.call(id, address(WellKnownActions.service), [.string(QiString(name))], "(s)")
        case 1: return try Self.call(id, address(WellKnownActions.services), [], "()")
        case 2, 3: return try Self.call(id, address(WellKnownActions.registerService), [info.qiValue], Self.infoSignature)
        case 4: return try Self.call(id, address(WellKnownActions.unregisterService), [.uint32(id % 16)], "(I)")
        case 5, 6: return try Self.call(id, address(WellKnownActions.serviceReady), [.uint32(id % 16)], "(I)")
        case 7: return try Self.call(id, address(WellKnownActions.updateServiceInfo), [info.qiValue], Self.infoSignature)
        case 8: return try Self.call(id, ActionAddress(service: 2, object: 1, action: 100), [.string("x")], "(s)")
        case 9:
            return try Self.call(
                id, ActionAddress(service: UInt32(number % 4), object: 1, action: 0),
                [.uint32(1), .uint32(UInt32(100 + number % 16)), .uint64(UInt64(number))], "(IIL)")
        case 10:
            return try Self.call(
                id, ActionAddress(service: UInt32(number % 4), object: 1, action: 1),
                [.uint32(1), .uint32(UInt32(100 + number % 16)), .uint64(UInt64(number))], "(IIL)")
        case 11: return try Self.call(id, ActionAddress(service: UInt32(number % 8), object: 1, action: 2), [.uint32(1)], "(I)")
        case 12: return try Self.call(id, ActionAddress(service: UInt32(number % 8), object: 1, action: 5), [.dynamic(QiDynamic(.string("level")))], "(m)")
        case 13:
            return try Self.call(
                id, ActionAddress(service: UInt32(number % 8), object: 1, action: 6),
                [.dynamic(QiDynamic(.string("level"))), .dynamic(QiDynamic(.int32(Int32(number))))], "(mm)")
        case 14: return try Self.call(id, ActionAddress(service: UInt32(number % 8), object: 1, action: 80 + UInt32(number % 7)), [], "()")
        default:
            var payload = ByteBuffer()
            payload.writeQiUInt32(id)
            return Message(kind: .cancel, id: 1, address: ActionAddress(service: UInt32(number % 4), object: 1, action: 0), payload: payload)
        }
    }

    private static let infoSignature = Signature(.tuple([ServiceInfo.signature.type]))

    private static func call(_ id: UInt32, _ address: ActionAddress, _ arguments: [QiValue], _ signature: Signature) throws -> Message {
        var payload = ByteBuffer()
        try payload.writeQiArguments(arguments, as: signature)
        return Message(kind: .call, id: id, address: address, payload: payload)
    }

    private func control(_ which: UInt32, _ channel: EmbeddedChannel) throws {
        switch which {
        case 0: try close(channel)
        case 1: try authenticate(channel)
        case 2: loop.advanceTime(by: .milliseconds(300))
        case 3: channel.isWritable.toggle()
        default: break
        }
        loop.run()
    }

    // MARK: - What must hold

    private func send(_ message: Message, on channel: EmbeddedChannel) throws {
        var buffer = ByteBuffer()
        buffer.writeMessage(message)
        try send(buffer, on: channel)
    }

    private func send(_ bytes: ByteBuffer, on channel: EmbeddedChannel) throws {
        guard channel.isActive else { return }
        channel.pipeline.fireChannelRead(bytes)
        channel.pipeline.fireChannelReadComplete()
        loop.run()
        // What one turn does not hold comes with the next ones.
        loop.advanceTime(by: .milliseconds(1))
        _ = try messages(from: channel)
    }

    /// What the directory sent: always whole frames.
    private func messages(from channel: EmbeddedChannel) throws -> [Message] {
        var decoder = decoders[ObjectIdentifier(channel)] ?? MessageDecoder()
        var messages: [Message] = []
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) {
            decoder.append(bytes)
            while let message = try decoder.next() { messages.append(message) }
        }
        decoders[ObjectIdentifier(channel)] = decoder
        return messages
    }

    private func close(_ channel: EmbeddedChannel) throws {
        do { try channel.close().wait() } catch ChannelError.alreadyClosed {}
        loop.run()
    }

    private func finish() throws {
        let alive = ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)
        var call = ByteBuffer()
        call.writeMessage(Message(kind: .call, id: 0xFFFF_0002, address: alive))
        bystander.pipeline.fireChannelRead(call)
        bystander.pipeline.fireChannelReadComplete()
        loop.run()
        let answers = try messages(from: bystander).filter { $0.id == 0xFFFF_0002 }
        try FuzzFinding.expect(answers.count == 1 && answers[0].kind == .reply, "the bystander is not served")
        for channel in peers + [bystander] { try close(channel) }
        try FuzzFinding.expect(directory.connections.isEmpty, "connections stay behind")
        try FuzzFinding.expect(directory.table.ready.map(\.info.name) == ["Echo"], "services stay behind")
        bus.shutDown()
        loop.run()
        for channel in peers + [bystander] { _ = try channel.finish(acceptAlreadyClosed: true) }
    }
}
