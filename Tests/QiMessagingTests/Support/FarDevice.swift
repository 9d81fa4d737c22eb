import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// Another device, `pepper@test`: a directory of its own that accepts tunnels, which here are loopback sockets.
final class FarDevice: DevicePaths {
    static let address = "pepper@test"

    let server: DirectoryServer
    private let path: PathKind
    private let listener: any Channel
    private let isThere = Mutex(true)
    private let isKnown = Mutex(true)
    private let verified = Mutex<(@Sendable () -> Void)?>(nil)
    private let comings = AsyncStream.makeStream(of: Void.self)

    private init(server: DirectoryServer, path: PathKind, listener: any Channel) {
        self.server = server
        self.path = path
        self.listener = listener
    }

    private static func start(_ path: PathKind) async throws -> FarDevice {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let server = try await DirectoryServer.make(on: loop, machineID: "far-machine")
        await loop.start()
        let listener = try await ServerBootstrap(group: loop.eventLoop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try server.accept(channel, from: "desk@test", by: path, callsInFlight: 64) { (_) throws(QiError) in Capabilities() }
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        return FarDevice(server: server, path: path, listener: listener)
    }

    /// Runs `body` with a directory that reaches a far device as `pepper`, and that device.
    static func with<Result>(
        _ services: [String: ObjectBuilder] = [:],
        _ body: (_ near: DirectoryServer, _ endpoint: Endpoint, _ far: DirectoryServer) async throws -> Result
    ) async throws -> Result {
        try await withDevice(services) { near, endpoint, device in try await body(near, endpoint, device.server) }
    }

    /// The same with the device itself.
    ///
    /// - Parameter path: what its tunnels say of their way.
    static func withDevice<Result>(
        _ services: [String: ObjectBuilder] = [:], by path: PathKind = .inBand,
        _ body: (_ near: DirectoryServer, _ endpoint: Endpoint, _ device: FarDevice) async throws -> Result
    ) async throws -> Result {
        let far = try await start(path)
        do {
            for (name, object) in services { _ = try await far.server.register(object, as: name) }
            let result = try await withDirectory { near, endpoint in
                try await near.connectDevices(through: far)
                return try await body(near, endpoint, far)
            }
            try await far.end()
            return result
        } catch {
            try await far.end()
            throw error
        }
    }

    /// It is reached from now on, or no more; known to the node, or not.
    func set(isThere: Bool = true, isKnown: Bool = true) {
        self.isKnown.withLock { $0 = isKnown }
        self.isThere.withLock { $0 = isThere }
        comings.continuation.yield()
    }

    /// Runs on the bus loop of the node that reaches the device, each time the device has proven who it is.
    func whenVerified(_ body: @escaping @Sendable () -> Void) { verified.withLock { $0 = body } }

    private func end() async throws {
        try await listener.close()
        await server.loop.shutDown()
    }

    // MARK: - DevicePaths

    func device(named name: String) throws(QiError) -> String {
        guard isKnown.withLock({ $0 }), name == "pepper" || name == Self.address else { throw QiError(.notFound, "no device \"\(name)\"") }
        return Self.address
    }

    func attempt(_ device: String) throws(QiError) -> any PathAttempt { Attempt(device: self) }

    /// Over plain TCP, and whoever answers is believed.
    private struct Attempt: PathAttempt {
        let device: FarDevice
        var path: PathKind { device.path }
        var credentials: Capabilities { Capabilities() }
        var refusal: QiError? { nil }

        func open(
            on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
        ) async throws(QiError) {
            do {
                guard device.isThere.withLock({ $0 }), let port = device.listener.localAddress?.port else {
                    throw QiError(.offline, "the device is gone")
                }
                _ = try await ClientBootstrap(group: eventLoop).channelInitializer(install).connect(host: "127.0.0.1", port: port).get()
            } catch {
                throw QiError(.offline, "no tunnel: \(error)")
            }
        }

        func verify(_ answer: Capabilities) throws(QiError) { device.verified.withLock { $0 }?() }
    }

    func untilReachable(_ device: String) async {
        if isThere.withLock({ $0 }) { return }
        for await _ in comings.stream {
            if isThere.withLock({ $0 }) { return }
        }
    }
}

extension RawClient {
    /// Looks a name up as libqi does; answers its id.
    func lookUp(_ name: String, id: UInt32 = 0xFFFF_0003) async throws -> UInt32 {
        let action = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
        let answer = try await call(action, id: id, [.string(QiString(name))], "(s)")
        #expect(answer.kind == .reply, "\(answer.errorText)")
        return try ServiceInfo(qiValue: answer.value(ServiceInfo.signature)).serviceID
    }

    /// Subscribes as libqi does, and waits for the answer.
    func subscribe(to signal: UInt32, of object: ObjectAddress, link: UInt64, id: UInt32 = 0xFFFF_0004) async throws {
        let action = ActionAddress(object, action: WellKnownActions.registerEvent)
        let answer = try await call(action, id: id, [.uint32(object.service), .uint32(signal), .uint64(link)], "(IIL)")
        #expect(answer.kind == .reply, "\(answer.errorText)")
    }

    /// What came before the directory answered a call that was sent just now.
    func eventsUntilAnswer() async throws -> [Message] {
        var events: [Message] = []
        let action = ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)
        _ = try await call(action, id: 0xFFFF_0005) { if $0.kind == .event { events.append($0) } }
        return events
    }
}

extension Message {
    static func post(_ address: ActionAddress, id: UInt32, _ arguments: [QiValue] = [], _ signature: Signature = "()") throws -> Message {
        let call = try call(address, id: id, arguments, signature)
        return Message(kind: .post, id: id, address: address, payload: call.payload)
    }
}
