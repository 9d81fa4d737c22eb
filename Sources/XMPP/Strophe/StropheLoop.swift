import CStrophe
import Foundation
import Logging
import NIOCore
import Synchronization

/// The one thread on which everything of one libstrophe context happens, as a Swift executor.
///
/// libstrophe has no locks (reference `xmpp.md` §1.8) and owns its socket, so the thread both runs the session's jobs and
/// pumps the socket: it sleeps in `poll()` on the socket and on an eventfd that ``enqueue(_:)`` signals. Callbacks of the
/// library arrive inside the pump, on this thread, and may enter the actor by `assumeIsolated`.
///
/// `@unchecked Sendable`: `inbox` is protected by its mutex, `threadID` and `hasWork` are atomic, and everything else that changes is
/// touched by the thread only.
final class StropheLoop: SerialExecutor, StanzaExecutor, @unchecked Sendable {
    private enum Work: Sendable {
        case job(UnownedJob)
        case closure(@Sendable () -> Void)
    }

    private struct Inbox: ~Copyable {
        var work: [Work] = []
        var isStopped = false
        /// What wakes the thread: an eventfd, or -1 while the process has no descriptor left for one.
        var wakeup: Int32 = -1
    }

    /// Deeply nested stanzas are released recursively by the library: 512 KiB crash at 10 000 levels, which servers let
    /// through (reference `xmpp.md` §1.5).
    private static let stackSize = 32 << 20
    /// Longest sleep; the library's own timers and ours need it.
    private static let longestSleep: Int32 = 250
    /// The same while nothing can wake the thread.
    private static let shortestSleep: Int32 = 10

    private let inbox = Mutex(Inbox())
    private let threadID = Atomic<UInt>(0)
    /// Whether the inbox holds something, for a look without the lock.
    private let hasWork = Atomic<Bool>(false)
    private let logger: Logger
    private let makeWakeup: @Sendable () -> Int32

    // The thread's own:
    private var context: StropheContext?
    private var connection: StropheConnection?
    private var retired: [StropheConnection] = []
    private var lastTick: NIODeadline = .uptimeNanoseconds(0)
    private weak var ticker: (any StropheTicking)?
    let descriptors: LowDescriptorReserve

    /// Starts the thread. It ends after ``stop()``.
    /// - Parameter makeWakeup: makes an eventfd that does not block; -1 when there is no descriptor for it. Asked again until there is.
    init(name: String, logger: Logger, makeWakeup: @escaping @Sendable () -> Int32 = StropheLoop.newWakeup) {
        StropheLibrary.prepare()
        self.logger = logger
        descriptors = LowDescriptorReserve()
        self.makeWakeup = makeWakeup
        let first = makeWakeup()
        inbox.withLock { $0.wakeup = first }
        let thread = Thread { [self] in main() }
        thread.name = name
        thread.stackSize = StropheLoop.stackSize
        thread.start()
    }

    /// An eventfd that does not block, or -1.
    @Sendable static func newWakeup() -> Int32 { eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC)) }

    deinit {
        let wakeup = inbox.withLock { $0.wakeup }
        if wakeup >= 0 { close(wakeup) }
    }

    // MARK: From any thread

    func enqueue(_ job: consuming ExecutorJob) {
        push(.job(UnownedJob(job)))
    }

    /// Runs work on the thread, in order with everything else that is handed in.
    func execute(_ work: @escaping @Sendable () -> Void) {
        push(.closure(work))
    }

    /// Ends the thread after the work handed in before. Nothing may be handed in later.
    func stop() {
        let wakeup = inbox.withLock { inbox in
            inbox.isStopped = true
            return inbox.wakeup
        }
        wake(wakeup)
    }

    var isOnThread: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }

    func checkIsolated() {
        precondition(isOnThread, "not on the XMPP thread")
    }

    func isIsolatingCurrentContext() -> Bool? { isOnThread }

    private func push(_ work: Work) {
        let wakeup = inbox.withLock { inbox -> Int32 in
            inbox.work.append(work)
            hasWork.store(true, ordering: .relaxed)
            return inbox.work.count == 1 ? inbox.wakeup : -1
        }
        // The thread empties the inbox before it sleeps, so its own pushes need no system call.
        if wakeup >= 0 && !isOnThread { wake(wakeup) }
    }

    /// It stays open as long as this lives.
    private func wake(_ wakeup: Int32) {
        guard wakeup >= 0 else { return }
        var one: UInt64 = 1
        // EAGAIN means that a wake-up is pending already.
        _ = write(wakeup, &one, MemoryLayout<UInt64>.size)
    }

    // MARK: On the thread

    /// Who is called at least every 250 ms.
    func setTicker(_ ticker: any StropheTicking) {
        self.ticker = ticker
    }

    /// Makes a connection that this loop pumps from now on. There is one at a time.
    func makeConnection(_ parameters: StropheParameters, owner: any StropheConnectionOwner) -> StropheConnection {
        precondition(isOnThread && connection == nil)
        let context = self.context ?? StropheContext()
        self.context = context
        let connection = StropheConnection(context, parameters, owner: owner, descriptors: descriptors)
        self.connection = connection
        return connection
    }

    /// Stops pumping a connection. Its C object is released outside of the library's callbacks.
    func retire(_ connection: StropheConnection) {
        precondition(isOnThread)
        guard self.connection === connection else { return }
        self.connection = nil
        retired.append(connection)
    }

    private func main() {
        threadID.store(UInt(pthread_self()), ordering: .relaxed)
        while true {
            let stopped = runWork()
            releaseRetired()
            if stopped { break }
            let isSettled = pump()
            tick()
            releaseRetired()
            if hasWork.load(ordering: .relaxed) || !isSettled { continue }
            sleep()
        }
        if let connection { retire(connection) }
        releaseRetired()
        context?.free()
        descriptors.release()
    }

    /// Runs everything handed in, also what the work itself hands in. True when the thread is to end.
    private func runWork() -> Bool {
        let executor = asUnownedSerialExecutor()
        while true {
            let (batch, isStopped) = inbox.withLock { inbox in
                let batch = inbox.work
                inbox.work = []
                hasWork.store(false, ordering: .relaxed)
                return (batch, inbox.isStopped)
            }
            if batch.isEmpty { return isStopped }
            for work in batch {
                switch work {
                case .job(let job): job.runSynchronously(on: executor)
                case .closure(let closure): closure()
                }
            }
        }
    }

    private func releaseRetired() {
        guard !retired.isEmpty else { return }
        for connection in retired { connection.release() }
        retired = []
    }

    /// Reads and writes until the library has nothing more to do, or until there is work to be run first (false), or for 64
    /// turns (false). The turns are those of reference `xmpp.md` §2.2; the four after a read, which find what TLS has
    /// decrypted already, are left out when there was none.
    private func pump() -> Bool {
        guard let connection, let context else { return true }
        var idle = 0
        var turns = 0
        while connection.socket >= 0 {
            turns += 1
            if turns > 64 { return false }
            connection.flush()
            let ready = pollNow(connection.socket)
            // What was handed in before a stanza arrived takes effect before it; one turn is always taken, or a busy inbox
            // would keep the socket waiting.
            if turns > 1 && hasWork.load(ordering: .relaxed) { return false }
            context.runOnce(exclusively: connection.isLoggingIn)
            connection.turned(writable: ready & Int16(POLLOUT) != 0)
            guard connection.socket >= 0 else { break }
            // Something may arrive between the two looks; then a stanza tells of it.
            if connection.takeHasReceived() || ready & Int16(POLLIN) != 0 {
                idle = 0
                connection.noteRead()
                continue
            }
            if connection.isDirty {
                if ready & Int16(POLLOUT) == 0 { return true }
                if connection.hasPending || connection.queueLength > 0 {
                    idle = 0
                    continue
                }
            }
            idle += 1
            if idle >= connection.idleTurnsNeeded {
                connection.settled()
                return true
            }
        }
        return true
    }

    private func pollNow(_ socket: Int32) -> Int16 {
        var descriptor = pollfd(fd: socket, events: Int16(POLLIN | POLLOUT), revents: 0)
        return poll(&descriptor, 1, 0) > 0 ? descriptor.revents : 0
    }

    private func tick() {
        let now = NIODeadline.now()
        guard now - lastTick >= .milliseconds(100) else { return }
        lastTick = now
        ticker?.tick(now: now)
    }

    /// The eventfd, made now if there was no descriptor for it before; nil when it is missing and work has come that it did not tell of.
    private func currentWakeup() -> Int32? {
        let known = inbox.withLock { $0.wakeup }
        if known >= 0 { return known }
        let made = makeWakeup()
        return inbox.withLock { inbox in
            inbox.wakeup = made
            return inbox.work.isEmpty && !inbox.isStopped ? made : nil
        }
    }

    private func sleep() {
        guard let wakeup = currentWakeup() else { return }
        // poll() passes over a descriptor below zero.
        var descriptors = [pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0)]
        if let connection, connection.socket >= 0 {
            let events = connection.isDirty || connection.isTCPConnecting ? POLLIN | POLLOUT : POLLIN
            descriptors.append(pollfd(fd: connection.socket, events: Int16(events), revents: 0))
        }
        _ = poll(&descriptors, nfds_t(descriptors.count), wakeup >= 0 ? StropheLoop.longestSleep : StropheLoop.shortestSleep)
        if descriptors[0].revents & Int16(POLLIN) != 0 {
            var count: UInt64 = 0
            _ = read(wakeup, &count, MemoryLayout<UInt64>.size)
        }
    }
}

/// Something that looks after its deadlines.
protocol StropheTicking: AnyObject {
    /// Called on the thread at least every 250 ms, at most every 100 ms.
    func tick(now: NIODeadline)
}
