import Glibc
import Synchronization

/// Lets other threads end a connection attempt that blocks the stanza thread: the library's TLS handshake waits without a
/// deadline (reference `xmpp.md` §1.3).
///
/// It holds a duplicate of the socket's descriptor, so that a number the kernel has given to somebody else meanwhile can
/// never be shut down.
final class SocketGuard: Sendable {
    private let duplicate = Mutex<Int32>(-1)
    private let interrupted = Atomic<Bool>(false)

    /// Whether the connection was ended by ``interrupt()``.
    var hasInterrupted: Bool { interrupted.load(ordering: .relaxed) }

    /// Watches a socket instead of the one before.
    func watch(_ socket: Int32) {
        replace(fcntl(socket, F_DUPFD_CLOEXEC, 3))
    }

    /// Stops watching; the connection's end is not seen by the peer before.
    func release() {
        replace(-1)
    }

    /// Ends the connection from below; any thread.
    func interrupt() {
        interrupted.store(true, ordering: .relaxed)
        duplicate.withLock { if $0 >= 0 { _ = shutdown($0, Int32(SHUT_RDWR)) } }
    }

    private func replace(_ descriptor: Int32) {
        let old = duplicate.withLock { current in
            let old = current
            current = descriptor
            return old
        }
        if old >= 0 { close(old) }
    }

    deinit { release() }
}
