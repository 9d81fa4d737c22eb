import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Synchronization

/// Devices `one@test`, `two@test` and so on, which are the group `vision` of a node. Their tunnels are loopback sockets.
final class FarGroup: DevicePaths {
    /// A device: a directory of its own that accepts tunnels.
    final class Member: Sendable {
        let name: String
        let server: DirectoryServer
        fileprivate let listener: any Channel
        fileprivate let tunnels: Tunnels
        let isThere = Mutex(true)

        fileprivate init(_ name: String, _ server: DirectoryServer, _ listener: any Channel, _ tunnels: Tunnels) {
            self.name = name
            self.server = server
            self.listener = listener
            self.tunnels = tunnels
        }

        var address: String { "\(name)@test" }

        /// It is gone without a word, and does not come back.
        func kill() async throws {
            isThere.withLock { $0 = false }
            for tunnel in tunnels.channels.withLock({ $0 }) { tunnel.close(promise: nil) }
        }

        fileprivate func end() async throws {
            try await listener.close()
            await server.loop.shutDown()
        }
    }

    fileprivate final class Tunnels: Sendable {
        let channels = Mutex<[any Channel]>([])
    }

    private let all = Mutex<[Member]>([])
    private let patterns: [NameGlob]

    private init(_ patterns: [NameGlob]) { self.patterns = patterns }

    /// Runs `body` with a directory that knows a group of so many devices, each with that service as `Detector`.
    static func with<Result>(
        _ names: [String], idempotent patterns: [String] = [], _ service: (_ device: String) -> ObjectBuilder,
        _ body: (_ near: DirectoryServer, _ endpoint: Endpoint, _ group: FarGroup) async throws -> Result
    ) async throws -> Result {
        let group = FarGroup(patterns.map { NameGlob($0) })
        do {
            for name in names { try await group.add(name, service(name)) }
            let result = try await withDirectory { near, endpoint in
                try await near.connectDevices(through: group)
                return try await body(near, endpoint, group)
            }
            try await group.end()
            return result
        } catch {
            try await group.end()
            throw error
        }
    }

    @discardableResult
    func add(_ name: String, _ service: ObjectBuilder?) async throws -> Member {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let server = try await DirectoryServer.make(on: loop, machineID: name)
        await loop.start()
        let tunnels = Tunnels()
        let listener = try await ServerBootstrap(group: loop.eventLoop).childChannelInitializer { channel in
            tunnels.channels.withLock { $0.append(channel) }
            return channel.eventLoop.makeCompletedFuture {
                try server.accept(channel, from: "desk@test", by: .inBand, callsInFlight: 64) { (_) throws(QiError) in Capabilities() }
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        if let service { _ = try await server.register(service, as: "Detector") }
        let member = Member(name, server, listener, tunnels)
        all.withLock { $0.append(member) }
        return member
    }

    func end() async throws { for member in all.withLock({ $0 }) { try await member.end() } }

    subscript(name: String) -> Member? { all.withLock { $0.first { $0.name == name } } }

    // MARK: - DevicePaths

    func device(named name: String) throws(QiError) -> String { throw QiError(.notFound, "no device \"\(name)\"") }

    func group(named name: String) throws(QiError) -> DeviceGroup? {
        guard name == "vision" else { return nil }
        let members = all.withLock { $0 }.map { member in
            DeviceGroup.Member(address: member.address, name: member.name, isThere: member.isThere.withLock { $0 })
        }
        return DeviceGroup(name: name, members: members, idempotent: patterns)
    }

    func attempt(_ device: String) throws(QiError) -> any PathAttempt {
        guard let member = all.withLock({ $0.first { $0.address == device } }) else { throw QiError(.denied, "\(device) is no contact") }
        return Attempt(member: member)
    }

    func untilReachable(_ device: String) async {}

    private struct Attempt: PathAttempt {
        let member: Member
        var credentials: Capabilities { Capabilities() }
        var refusal: QiError? { nil }

        func open(
            on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
        ) async throws(QiError) {
            do {
                guard member.isThere.withLock({ $0 }), let port = member.listener.localAddress?.port else {
                    throw QiError(.offline, "the device is gone")
                }
                _ = try await ClientBootstrap(group: eventLoop).channelInitializer(install).connect(host: "127.0.0.1", port: port).get()
            } catch {
                throw QiError(.offline, "no tunnel: \(error)")
            }
        }

        func verify(_ answer: Capabilities) throws(QiError) {}
    }
}
