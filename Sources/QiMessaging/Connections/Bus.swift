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

    /// What runs asynchronous work: on this loop, and off it.
    let pool: WorkerPool
    let offLoop: OffLoopPool
    private(set) var isShutDown = false

    private var buffers: [ByteBuffer] = []
    private var dirty: [Connection] = []
    /// Empty but while it is gone through: the two keep their storage.
    private var flushing: [Connection] = []
    private var connections: [UInt64: Connection] = [:]
    private var nextConnectionID: UInt64 = 1
    private var timer: Scheduled<Void>?
    private var patienceTimer: Scheduled<Void>?
    /// Connections with more to take than one turn holds.
    let turns: TurnQueue
    /// Bytes of arguments that are kept for calls of all connections (``ArgumentBytes``).
    var argumentBytes = 0
    private var pauses: [UInt64: UnsafeContinuation<Void, Never>] = [:]
    private var nextPause: UInt64 = 1

    /// How often deadlines are looked at: a call ends at most this much after its deadline.
    static let tick = TimeAmount.milliseconds(250)
    /// How long a call may wait before the clock is looked at for it, and before its caller's cancellation is noticed.
    static let patience = TimeAmount.milliseconds(50)

    init(executor: LoopExecutor, logger: Logger) {
        self.executor = executor
        self.logger = logger
        turns = TurnQueue(executor)
        pool = WorkerPool(executor)
        offLoop = OffLoopPool()
    }

    /// How many bytes of arguments more may be kept.
    var argumentRoom: Int { Self.maximumArgumentBytes - argumentBytes }
    private static let maximumArgumentBytes = 512 << 20

    /// Runs `work` in the pool, on this loop. After the shutdown nothing runs any more: every connection is closed by then.
    func enqueue(_ work: @escaping WorkerPool.Work) { pool.enqueue(.work(work)) }

    /// The pools have ended: what no worker took would keep its objects, and the bus, for ever.
    func forgetJobs() {
        pool.forgetJobs()
        offLoop.forgetJobs()
    }

    // MARK: - Buffers

    /// A buffer for a short answer, which comes back by ``takeBack(_:)``.
    func takeBuffer() -> ByteBuffer { buffers.popLast() ?? ByteBuffer() }

    /// Keeps a buffer for the next answer, and leaves an empty one in its place: only what nobody else holds can be used again as it is.
    /// A long one is still on its way to its peer.
    func takeBack(_ buffer: inout ByteBuffer) {
        guard buffer.capacity > 0, buffer.capacity <= 4096, buffers.count < 64 else { return }
        var own = ByteBuffer()
        swap(&own, &buffer)
        own.clear()
        buffers.append(own)
    }

    /// Closes every connection, fails what waits on them and lets the pool end.
    func shutDown() {
        guard !isShutDown else { return }
        isShutDown = true
        timer?.cancel()
        patienceTimer?.cancel()
        let open = Array(connections.values)
        for connection in open { connection.close(.stopped(QiError(.disconnected, "this session was closed"))) }
        flushDirty()
        turns.clear()
        pool.shutDown()
        offLoop.shutDown()
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

    /// Makes sure that calls without a deadline get theirs.
    func needPatience() {
        guard patienceTimer == nil, !isShutDown else { return }
        patienceTimer = eventLoop.assumeIsolated().scheduleTask(in: Self.patience) { self.losePatience() }
    }

    private func losePatience() {
        patienceTimer = nil
        let now = NIODeadline.now()
        var isNeeded = false
        for connection in connections.values where connection.calls.young > 0 {
            isNeeded = true
            connection.mature(now)
        }
        if isNeeded { needTimer() }
        executor.scheduleDrain()
    }
}
