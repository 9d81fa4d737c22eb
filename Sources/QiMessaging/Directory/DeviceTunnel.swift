import NIOCore
import Synchronization

/// Another device's directory, presented here under an address of its own (`qimesh tunnel`).
public final class DeviceTunnel: Sendable {
    private let server: DirectoryServer
    private let mirror: NIOLoopBound<MirroredDevice>
    private let listener = Mutex<Listener?>(nil)
    /// The way to the device when this was made.
    public let path: PathKind

    init(server: DirectoryServer, mirror: NIOLoopBound<MirroredDevice>, path: PathKind) {
        self.server = server
        self.mirror = mirror
        self.path = path
    }

    /// - Parameter users: as ``DirectoryServer/openTunnel(to:at:users:hosting:)``.
    func listen(at endpoint: Endpoint, users: LocalUsers?) async throws(QiError) {
        let opened = try await server.listen(at: endpoint, door: server.internalDoor(users: users))
        listener.withLock { $0 = opened }
    }

    /// Registers an object of this process at it.
    func register(_ object: ObjectBuilder, as name: String) async throws(QiError) -> HostedObject {
        try await server.register(object, as: name)
    }

    /// Where it listens, with the real port.
    public var endpoint: Endpoint? { listener.withLock { $0?.endpoint } }

    /// Stops listening and ends the connections that came this way; the tunnel itself stays for others. Returns when the device knows that
    /// what was hosted with it has gone, or has not answered for 10 s.
    public func close() async {
        let open = listener.withLock { listener in
            defer { listener = nil }
            return listener
        }
        await open?.close()
        let (mirror, directory) = (mirror, server.directory)
        await server.loop.perform { _ in
            // First those who use it, then what they used.
            directory.value.end(QiError(.disconnected, "the tunnel was closed"))
            mirror.value.end()
            await directory.value.hosting?.settled()
        }
    }
}
