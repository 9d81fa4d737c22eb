import Synchronization

/// The attempt that another thread may cut short.
final class InterruptibleAttempt: Sendable {
    private let socketGuard = Mutex<SocketGuard?>(nil)
    private let hasShutDown = Atomic<Bool>(false)
    private let looksUp = Atomic<Bool>(false)

    /// Whether the client is to stop: nothing that blocks is begun any more.
    var isShutDown: Bool { hasShutDown.load(ordering: .acquiring) }

    /// Whether the thread is inside a look-up of a name, which nothing cuts short.
    var isLookingUp: Bool { looksUp.load(ordering: .acquiring) }

    /// Runs a look-up on the stanza thread.
    func lookingUp<Found>(_ body: () -> Found) -> Found {
        looksUp.store(true, ordering: .releasing)
        defer { looksUp.store(false, ordering: .releasing) }
        return body()
    }

    /// The client is to stop. Any thread.
    func shutDown() {
        hasShutDown.store(true, ordering: .releasing)
        interrupt()
    }

    func set(_ new: SocketGuard?) { socketGuard.withLock { $0 = new } }

    /// Any thread.
    func interrupt() { socketGuard.withLock { $0 }?.interrupt() }
}
