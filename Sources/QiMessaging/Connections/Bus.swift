import DequeModule
import Logging
import NIOCore

/// What the connections, objects, directories and relays of one node or session share: one event loop's worth of state.
/// All of them are plain classes confined to that loop, so they call each other without a lock, a hop or an allocation. The
/// outside reaches them through a ``BusLoop``.
final class Bus {
    let executor: LoopExecutor
    let logger: Logger
    /// The handle of this bus, once it was started.
    weak var loop: BusLoop?
    var eventLoop: any EventLoop { executor.eventLoop }

    /// Work for the pool, run isolated to the bus's ``BusLoop``.
    typealias Work = nonisolated(nonsending) () async -> Void

    enum Job {
        case work(Work)
        case method(any PoolJob)
    }

    private var jobs: Deque<Job> = []
    private var idleWorkers: [UnsafeContinuation<Void, Never>] = []
    private var growth: UnsafeContinuation<Void, Never>?
    /// Workers that were added or woken and have not taken their job yet.
    private var comingWorkers = 0
    private(set) var isShutDown = false

    private var buffers: [ByteBuffer] = []
    private var dirty: [Connection] = []
    /// Empty but while it is gone through: the two keep their storage.
    private var flushing: [Connection] = []
    private var connections: [UInt64: Connection] = [:]
    private var nextConnectionID: UInt64 = 1
    private var timer: Scheduled<Void>?
    /// Connections with more to take than one turn holds.
    let turns: TurnQueue
    /// Bytes of arguments that are kept for calls of all connections (``ArgumentBytes``).
    var argumentBytes = 0
    private var pauses: [UInt64: UnsafeContinuation<Void, Never>] = [:]
    private var nextPause: UInt64 = 1

    /// How often deadlines are looked at: a call ends at most this much after its deadline.
    static let tick = TimeAmount.milliseconds(250)

    init(executor: LoopExecutor, logger: Logger) {
        self.executor = executor
        self.logger = logger
        turns = TurnQueue(executor)
    }

    /// How many bytes of arguments more may be kept.
    var argumentRoom: Int { Self.maximumArgumentBytes - argumentBytes }
    private static let maximumArgumentBytes = 512 << 20

    // MARK: - Worker pool

    /// Runs `work` in the pool, on this loop. After the shutdown nothing runs any more: every connection is closed by then.
    func enqueue(_ work: @escaping Work) { enqueue(.work(work)) }

    /// As above, for any job.
    func enqueue(_ job: Job) {
        guard !isShutDown else { return }
        jobs.append(job)
        needWorker()
    }

    private func needWorker() {
        guard jobs.count > comingWorkers else { return }
        if let worker = idleWorkers.popLast() {
            comingWorkers += 1
            worker.resume()
        } else if let growth {
            self.growth = nil
            growth.resume()
        }
        executor.scheduleDrain()
    }

    /// Returns when the pool must grow by one worker; false when the bus has ended.
    nonisolated(nonsending) func mayGrow() async -> Bool {
        while !isShutDown {
            if jobs.count > comingWorkers {
                comingWorkers += 1
                return true
            }
            await withUnsafeContinuation { growth = $0 }
        }
        return false
    }

    /// What a worker's task does: runs jobs until the bus ends, until it was cancelled for the sake of one, or until there are more
    /// idle workers than anybody needs.
    nonisolated(nonsending) func work(_ worker: Worker) async {
        defer { worker.ended() }
        while true {
            comingWorkers -= 1
            while let job = jobs.popFirst() {
                switch job {
                case .work(let work): await work()
                case .method(let job): await job.run(on: worker)
                }
                if worker.isCancelled { return needWorker() }
            }
            if isShutDown || idleWorkers.count >= 64 { return }
            await withUnsafeContinuation { idleWorkers.append($0) }
            if isShutDown { return }
        }
    }

    /// The pool has ended: what no worker took would keep its objects, and the bus, for ever.
    func forgetJobs() { jobs = [] }

    // MARK: - Buffers

    /// A buffer for a short answer, which comes back by ``giveBuffer(_:)``.
    func takeBuffer() -> ByteBuffer { buffers.popLast() ?? ByteBuffer() }

    /// Keeps a buffer for the next answer. A long one is still on its way to its peer.
    func giveBuffer(_ buffer: ByteBuffer) {
        guard buffer.capacity > 0, buffer.capacity <= 4096, buffers.count < 64 else { return }
        buffers.append(buffer)
        buffers[buffers.count - 1].clear()
    }

    /// Closes every connection, fails what waits on them and lets the pool end.
    func shutDown() {
        guard !isShutDown else { return }
        isShutDown = true
        timer?.cancel()
        let open = Array(connections.values)
        for connection in open { connection.close(.stopped(QiError(.disconnected, "this session was closed"))) }
        flushDirty()
        turns.clear()
        for worker in idleWorkers { worker.resume() }
        idleWorkers = []
        growth?.resume()
        growth = nil
        let ended = pauses
        pauses = [:]
        for pause in ended.values { pause.resume() }
    }

    /// Runs `body` on this loop at `deadline`, unless it is cancelled before.
    func schedule(at deadline: NIODeadline, _ body: @escaping () -> Void) -> Scheduled<Void> {
        eventLoop.assumeIsolated().scheduleTask(deadline: deadline, body)
    }

    /// Returns after `pause`, or at the shutdown.
    nonisolated(nonsending) func pause(_ pause: TimeAmount) async {
        guard !isShutDown else { return }
        let id = nextPause
        nextPause += 1
        var timer: Scheduled<Void>?
        // All inside, for what ends the pause may come on the way there.
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            if isShutDown { return continuation.resume() }
            pauses[id] = continuation
            timer = schedule(at: .now() + pause) { self.pauses.removeValue(forKey: id)?.resume() }
        }
        timer?.cancel()
    }

    // MARK: - Connections

    func register(_ connection: Connection) -> UInt64 {
        defer { nextConnectionID += 1 }
        connections[nextConnectionID] = connection
        return nextConnectionID
    }

    func forget(_ id: UInt64) { connections[id] = nil }

    func connection(_ id: UInt64) -> Connection? { connections[id] }

    /// Whether a call or post of any peer is in work, or an answer has not left.
    var isBusy: Bool { connections.values.contains { $0.isBusy } }

    /// Marks a connection that has bytes to flush when the current burst ends.
    func markDirty(_ connection: Connection) {
        dirty.append(connection)
        executor.scheduleDrain()
    }

    /// Called by the executor when no job is ready any more.
    func flushDirty() {
        while !dirty.isEmpty {
            swap(&flushing, &dirty)
            for connection in flushing { connection.flush() }
            flushing.removeAll(keepingCapacity: true)
        }
    }

    /// Makes sure that deadlines are looked at while there are any.
    func needTimer() {
        guard timer == nil, !isShutDown else { return }
        timer = eventLoop.assumeIsolated().scheduleTask(in: Self.tick) { self.onTick() }
    }

    private func onTick() {
        timer = nil
        let now = NIODeadline.now()
        var isNeeded = false
        for connection in Array(connections.values) where connection.expire(now) { isNeeded = true }
        if isNeeded { needTimer() }
        executor.scheduleDrain()
    }
}
