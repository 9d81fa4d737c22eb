import Glibc

/// A descriptor below 1024 kept free for the library's socket.
///
/// libstrophe sleeps in `select()`, and glibc ends the process when a descriptor of 1024 or more is put into its set
/// (reference `xmpp.md` §2.1). A process with many connections has no low numbers left, so one is reserved at the start and
/// the socket is moved onto it when needed. Confined to the thread of one ``StropheLoop``.
final class LowDescriptorReserve {
    private var reserved: Int32 = -1

    private let next: () -> Int32

    /// - Parameter next: opens a descriptor, the lowest that is free.
    init(next: @escaping () -> Int32 = { open("/dev/null", O_RDONLY | O_CLOEXEC) }) {
        self.next = next
        reserve()
    }

    /// Takes a low number again after the socket that had it was closed.
    func reserve() {
        guard reserved < 0 else { return }
        let descriptor = next()
        if descriptor >= Int32(FD_SETSIZE) { close(descriptor) }
        reserved = (0..<Int32(FD_SETSIZE)).contains(descriptor) ? descriptor : LowDescriptors.take() ?? -1
    }

    /// Gives back the number.
    func release() {
        if reserved >= 0 { close(reserved) }
        reserved = -1
    }

    /// The socket under a number `select()` can take: the same, or the reserved one. Nil when there is none left.
    func lowered(_ socket: Int32) -> Int32? {
        guard socket >= Int32(FD_SETSIZE) else { return socket }
        guard reserved >= 0 else { return nil }
        let low = reserved
        // dup2 closes the placeholder and takes its number in one step; dup3 is not in Swift's Glibc.
        guard dup2(socket, low) == low else { return nil }
        _ = fcntl(low, F_SETFD, FD_CLOEXEC)
        close(socket)
        reserved = -1
        return low
    }
}
