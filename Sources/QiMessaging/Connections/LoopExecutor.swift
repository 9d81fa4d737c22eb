public import NIOCore
import Synchronization

/// One event loop as a Swift executor: the serial executor of the ``BusLoop`` that lives on it and the task executor of
/// every task that serves it. Isolation and preference then agree, and a continuation resumes straight on the loop
/// instead of visiting the global pool first.
///
/// Jobs enqueued on the loop run at the end of the read burst (``drain()``) or in the next tick; jobs and closures from
/// other threads go through one lock, with at most one wake-up pending.
// @unchecked: everything mutable outside `remote` is touched only on `eventLoop`; `remote` has its own lock.
public final class LoopExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
    public let eventLoop: any EventLoop
    private var localJobs: [UnownedJob] = []
    /// Those that run now. The two keep their storage.
    private var runningJobs: [UnownedJob] = []
    /// As above, of what others have submitted. Empty but while it runs.
    private var runningWork: [@Sendable () -> Void] = []
    private var isDraining = false
    private var isDrainScheduled = false
    /// Runs whenever the jobs that were ready have run, and may make one ready.
    private var wake: (() -> Void)?
    /// Runs when no job is ready any more. This is where dirty connections flush once.
    private var whenIdle: (() -> Void)?

    private struct Remote {
        var jobs: [UnownedJob] = []
        var work: [@Sendable () -> Void] = []
        var isWakeUpPending = false
    }
    private let remote = Mutex(Remote())

    public init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        localJobs.reserveCapacity(64)
    }

    /// Sets what runs besides jobs. Called on the loop.
    ///
    /// - Parameters:
    ///   - wake: runs each time the jobs that were ready have run; may make others ready.
    ///   - idle: runs when no job is ready any more.
    func onIdle(wake: @escaping () -> Void, idle: @escaping () -> Void) {
        eventLoop.assertInEventLoop()
        self.wake = wake
        whenIdle = idle
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if eventLoop.inEventLoop {
            localJobs.append(job)
            scheduleDrain()
            return
        }
        wake { $0.jobs.append(job) }
    }

    /// Runs `work` on the loop, batched with whatever else other threads submit before the loop wakes.
    func submit(_ work: @escaping @Sendable () -> Void) {
        wake { $0.work.append(work) }
    }

    /// Runs `work` on the loop and returns what it makes.
    func perform<T: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> T
    ) async throws(Failure) -> T {
        let result: Result<T, Failure> = await withUnsafeContinuation { continuation in
            submit { continuation.resume(returning: Result(catching: work)) }
        }
        return try result.get()
    }

    private func wake(_ add: (inout Remote) -> Void) {
        let mustWake = remote.withLock { remote in
            add(&remote)
            defer { remote.isWakeUpPending = true }
            return !remote.isWakeUpPending
        }
        if mustWake { eventLoop.execute { self.drain() } }
    }

    /// Makes sure that ``drain()`` runs soon: for code that NIO calls outside a read burst (timers, futures).
    func scheduleDrain() {
        eventLoop.assertInEventLoop()
        guard !isDraining, !isDrainScheduled else { return }
        isDrainScheduled = true
        eventLoop.execute { self.drain() }
    }

    /// Runs every ready job, those that running jobs make ready included, then lets dirty connections flush. On the loop only.
    func drain() {
        eventLoop.assertInEventLoop()
        guard !isDraining else { return }
        isDraining = true
        isDrainScheduled = false
        takeRemote()
        wake?()
        while !localJobs.isEmpty {
            swap(&runningJobs, &localJobs)
            for index in runningJobs.indices {
                runningJobs[index].runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
            }
            runningJobs.removeAll(keepingCapacity: true)
            takeRemote()
            wake?()
        }
        isDraining = false
        whenIdle?()
    }

    private func takeRemote() {
        // Moved out while it runs: a closure may submit another one.
        var work: [@Sendable () -> Void] = []
        swap(&work, &runningWork)
        remote.withLock { remote in
            guard remote.isWakeUpPending else { return }
            remote.isWakeUpPending = false
            localJobs.append(contentsOf: remote.jobs)
            remote.jobs.removeAll(keepingCapacity: true)
            swap(&work, &remote.work)
        }
        guard !work.isEmpty else { return runningWork = work }
        for item in work { item() }
        work.removeAll(keepingCapacity: true)
        runningWork = work
    }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
    public func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }
    public func checkIsolated() { eventLoop.preconditionInEventLoop() }
    public func isIsolatingCurrentContext() -> Bool? { eventLoop.inEventLoop }
}
