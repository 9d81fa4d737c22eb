import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Synchronization

/// Another device, `pepper@test`, that is reached by a device stream. Its paths are loopback sockets, from which the near node stops to
/// read when a test says so.
final class FarStream: DevicePaths {
    static let address = "pepper@test"

    let server: DirectoryServer
    private let width: PathWidth
    private let listener: any Channel
    private let path = Mutex<(any Channel)?>(nil)
    private let isThere = Mutex(true)
    private let comings = AsyncStream.makeStream(of: Void.self)

    private init(server: DirectoryServer, width: PathWidth, listener: any Channel) {
        self.server = server
        self.width = width
        self.listener = listener
    }

    /// Runs `body` with a directory that reaches a far device as `pepper`, and that device.
    ///
    /// - Parameters:
    ///   - limits: of the near directory.
    ///   - farLimits: of the device's directory.
    ///   - access: who may do what there; nil: contacts everything but registering.
    ///   - resume: how long a stream lives without a path, on both sides.
    ///   - returnTime: how long the device keeps what is hosted there beyond that.
    static func with<Result>(
        width: PathWidth = .wide, limits: ConnectionLimits = ConnectionLimits(), access: AccessControl? = nil,
        farLimits: ConnectionLimits = ConnectionLimits(), resume: Duration = .seconds(120), returnTime: Duration = .seconds(60),
        _ body: (_ near: DirectoryServer, _ endpoint: Endpoint, _ far: FarStream) async throws -> Result
    ) async throws -> Result {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let server = try await DirectoryServer.make(on: loop, machineID: "far-machine", limits: farLimits, access: access)
        await loop.start()
        try await loop.run { (_) async throws(QiError) in
            server.directory.value.streams.limits.resume = TimeAmount(resume)
            server.directory.value.returnTime = TimeAmount(returnTime)
        }
        let listener = try await ServerBootstrap(group: loop.eventLoop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try server.acceptPath(
                    channel, from: "desk@test", program: "desk@test/1", by: .inBand, width: { width }, callsInFlight: 64, key: { "key" }
                ) { (_) throws(QiError) in Capabilities() }
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let far = FarStream(server: server, width: width, listener: listener)
        do {
            let result = try await withDirectory(limits: limits) { near, endpoint in
                try await near.connectDevices(through: far, resume: resume)
                return try await body(near, endpoint, far)
            }
            try await far.end()
            return result
        } catch {
            try await far.end()
            throw error
        }
    }

    private func end() async throws {
        try await listener.close()
        await server.loop.shutDown()
    }

    /// The near node does not read what the device sends from now on, or does again.
    func setReading(_ isReading: Bool) async throws {
        guard let channel = path.withLock({ $0 }) else { throw QiError(.offline, "no path is open") }
        try await channel.setOption(.autoRead, value: isReading).get()
    }

    /// The path in use ends; the stream goes over to another one.
    func losePath() async throws {
        guard let channel = path.withLock({ $0 }) else { throw QiError(.offline, "no path is open") }
        try await channel.close()
    }

    /// Its path ends, and there is no other until ``comeBack()``.
    func lose() async throws {
        isThere.withLock { $0 = false }
        try await path.withLock { $0 }?.close().get()
    }

    func comeBack() {
        isThere.withLock { $0 = true }
        comings.continuation.yield()
    }

    /// Returns when what was emitted before is queued for the near node.
    func settle() async throws { try await server.loop.run { (_) async throws(QiError) in } }

    // MARK: - DevicePaths

    func device(named name: String) throws(QiError) -> String {
        guard name == "pepper" || name == Self.address else { throw QiError(.notFound, "no device \"\(name)\"") }
        return Self.address
    }

    func attempt(_ device: String) throws(QiError) -> any PathAttempt { Attempt(device: self) }

    func untilReachable(_ device: String) async {
        if isThere.withLock({ $0 }) { return }
        for await _ in comings.stream {
            if isThere.withLock({ $0 }) { return }
        }
    }

    private struct Attempt: PathAttempt, StreamPathSource {
        let device: FarStream
        var credentials: Capabilities { Capabilities() }
        var refusal: QiError? { nil }
        var kinds: [PathKind] { [.inBand] }
        var program: String? { nil }
        var isAway: Bool { false }

        func verify(_ answer: Capabilities) throws(QiError) {}

        func stream() async throws(QiError) -> (any StreamPathSource)? { self }

        func width(of kind: PathKind) -> PathWidth { device.width }

        func open(
            on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
        ) async throws(QiError) { throw QiError(.unsupported, "a stream alone leads there") }

        func open(
            _ kind: PathKind, on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
        ) async throws(QiError) {
            do {
                guard device.isThere.withLock({ $0 }), let port = device.listener.localAddress?.port else {
                    throw QiError(.offline, "the device is gone")
                }
                let bootstrap = ClientBootstrap(group: eventLoop).channelInitializer(install)
                let channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
                device.path.withLock { $0 = channel }
            } catch {
                throw QiError(.offline, "no path: \(error)")
            }
        }
    }
}
