import CQiSystem
import Glibc
import NIOCore
import NIOPosix

/// Passes the descriptor of one segment to the peer, on a unix connection of its own: NIO reads stream sockets with read(2), and
/// the kernel closes descriptors that come with such bytes.
///
/// The maker listens under a random name, says the name on the qi connection, and gives the descriptor to the first that connects
/// and is the same user. Both sides give up after ``timeLimit``.
enum SharedMemoryExchange {
    static let timeLimit = TimeAmount.seconds(10)
    static let namePrefix = "qimesh-shm-"

    /// Blocking calls of the side that takes: of its own, so that nothing else waits for a peer that stalls. Runs as long as the
    /// process does.
    private static let threads: NIOThreadPool = {
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        return threads
    }()

    private struct HandedOver: Error {}

    static func newName() -> String {
        namePrefix + String(UInt64.random(in: .min ... .max), radix: 36) + String(UInt64.random(in: .min ... .max), radix: 36)
    }

    /// Listens for the peer under `name`, and owns the descriptor from now on.
    ///
    /// - Returns: succeeds when the name can be told to the peer.
    static func give(_ descriptor: Int32, as name: String, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let bootstrap = ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 1)
            .childChannelInitializer { child in
                userID(of: child).flatMapThrowing { user in
                    guard user == getuid() else { throw QiError(.denied, "another user asked for shared memory") }
                    try child.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { socket in
                        guard qimesh_send_descriptor(socket, descriptor) == 1 else { throw IOError(errnoCode: errno, reason: "sendmsg") }
                    }
                    // The one purpose of this connection is served: a failed set-up closes it.
                    child.parent?.close(promise: nil)
                    throw HandedOver()
                }
            }
        // A leading zero makes an abstract name (unix(7)): no file, nothing to clean up.
        return bootstrap.bind(unixDomainSocketPath: "\0" + name).map { server in
            let limit = eventLoop.scheduleTask(in: timeLimit) { server.close(promise: nil) }
            server.closeFuture.whenComplete { _ in
                limit.cancel()
                close(descriptor)
            }
        }.flatMapErrorThrowing { error in
            close(descriptor)
            throw error
        }
    }

    private static func userID(of channel: any Channel) -> EventLoopFuture<UInt32?> {
        guard let provider = channel as? any SocketOptionProvider else { return channel.eventLoop.makeSucceededFuture(nil) }
        let credentials: EventLoopFuture<qimesh_ucred> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        return credentials.map { $0.uid }
    }

    /// Takes a descriptor from a peer that said where: off the loop, checked, to be mapped or closed by the caller.
    static func take(_ name: String, size: Int, on eventLoop: any EventLoop) -> EventLoopFuture<Int32> {
        threads.runIfActive(eventLoop: eventLoop) { try take(name, size: size) }
    }

    private static func take(_ name: String, size: Int) throws -> Int32 {
        let connection = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard connection >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        defer { close(connection) }
        guard qimesh_limit(connection, Int32(timeLimit.nanoseconds / 1_000_000_000)) == 0 else {
            throw IOError(errnoCode: errno, reason: "setsockopt")
        }
        guard qimesh_connect_abstract(connection, name) == 0 else { throw IOError(errnoCode: errno, reason: "connect") }
        var peer = qimesh_ucred()
        var length = socklen_t(MemoryLayout<qimesh_ucred>.size)
        guard getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0, peer.uid == getuid() else {
            throw QiError(.denied, "another user offers shared memory")
        }
        let descriptor = qimesh_receive_descriptor(connection)
        guard descriptor >= 0 else { throw QiError(.invalid, "no descriptor came") }
        guard SharedSegment.isSafe(descriptor, size: size) else {
            close(descriptor)
            throw QiError(.denied, "what was offered is no sealed memory file of \(size) bytes")
        }
        return descriptor
    }
}
