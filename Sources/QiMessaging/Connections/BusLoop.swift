public import Logging
public import NIOCore

/// The `Sendable` handle of a bus: an actor whose executor is the bus's event loop. Asynchronous code enters the loop
/// through it, and its task owns the pool that runs asynchronous members; ``shutDown()`` ends both.
public actor BusLoop {
    public nonisolated let executor: LoopExecutor
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
    public nonisolated var eventLoop: any EventLoop { executor.eventLoop }
    public nonisolated let logger: Logger
    private nonisolated let box: NIOLoopBoundBox<Bus>
    private var pool: Task<Void, Never>?
    private var offLoopPool: Task<Void, Never>?

    public init(on eventLoop: any EventLoop, logger: Logger) {
        let executor = LoopExecutor(eventLoop)
        self.executor = executor
        self.logger = logger
        box = NIOLoopBoundBox.makeBoxSendingValue(Bus(executor: executor, logger: logger), eventLoop: eventLoop)
    }

    /// The bus itself; on the loop only.
    nonisolated var bus: Bus { box.value }

    /// Starts the pool; nothing asynchronous is served before. Idempotent.
    public func start() {
        guard pool == nil, !bus.isShutDown else { return }
        bus.loop = self
        // The bus keeps the executor and this the bus, until `shutDown`.
        executor.onIdle(wake: { [bus = self.bus] in bus.pool.callWorker() }, idle: { [bus = self.bus] in bus.flushDirty() })
        // Owned: `shutDown` ends both, and every worker is a child of one.
        // Detached: what is served later must not find the task-local values of whoever comes here first.
        pool = Task.detached(executorPreference: executor) { await self.runPool() }
        offLoopPool = Task.detached { await self.runOffLoopPool() }
    }

    private func runPool() async {
        let executor = self.executor
        await withDiscardingTaskGroup { group in
            while await bus.pool.mayGrow() {
                group.addTask(executorPreference: executor) { await self.work() }
            }
        }
    }

    private func runOffLoopPool() async {
        await withDiscardingTaskGroup { group in
            while await bus.offLoop.mayGrow() {
                group.addTask { await self.workOffLoop() }
            }
        }
    }

    /// One worker: a task that runs jobs, and this one, which cancels it when it must.
    private func work() async {
        let worker = NIOLoopBound(Worker(), eventLoop: eventLoop)
        let executor = self.executor
        await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: executor) { await self.run(worker) }
            await worker.value.signalled()
            if worker.value.isCancelled { group.cancelAll() }
            await group.waitForAll()
        }
    }

    private func run(_ worker: NIOLoopBound<Worker>) async { await bus.pool.work(worker.value, in: self) }

    /// As ``work()``, off the loop.
    private func workOffLoop() async {
        let worker = NIOLoopBound(Worker(), eventLoop: eventLoop)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.runOffLoop(worker) }
            await worker.value.signalled()
            if worker.value.isCancelled { group.cancelAll() }
            await group.waitForAll()
        }
    }

    @concurrent
    private nonisolated func runOffLoop(_ worker: NIOLoopBound<Worker>) async {
        // The task holds no job while it waits: all that a call keeps would live as long.
        while let job = await nextOffLoop(worker) { await job.run() }
    }

    @concurrent
    private nonisolated func nextOffLoop(_ worker: NIOLoopBound<Worker>) async -> (any OffLoopJob)? {
        await withUnsafeContinuation { task in
            executor.submit { [box] in box.value.offLoop.next(of: worker.value, task) }
        }
    }

    /// What ``withLoop(_:)`` runs.
    public typealias LoopBody<Result> = nonisolated(nonsending) @Sendable () async throws -> Result

    /// Runs `body` on this event loop, and every continuation in it: a program's calls then cost no change of threads. `body` must
    /// not block. What it awaits of other actors runs where they are.
    public nonisolated func withLoop<Result: Sendable>(
        _ body: @escaping LoopBody<Result>
    ) async throws -> Result {
        try await withTaskExecutorPreference(executor) { try await self.isolated(body) }
    }

    private func isolated<Result: Sendable>(_ body: @escaping LoopBody<Result>) async throws -> Result {
        start()
        return try await body()
    }

    /// Closes every connection, fails what waits on them, and returns when the last job has ended.
    public func shutDown() async {
        bus.shutDown()
        let (pool, offLoopPool) = (self.pool, self.offLoopPool)
        pool?.cancel()
        offLoopPool?.cancel()
        await pool?.value
        await offLoopPool?.value
        bus.forgetJobs()
        bus.flushDirty()
        // Here and not when this handle goes: the event loop may have ended by then.
        executor.onIdle(wake: {}, idle: {})
    }

    /// Runs `job` in the pool; ``shutDown()`` cancels it and waits for it.
    public nonisolated func spawn(_ job: @escaping @Sendable () async -> Void) {
        submit { bus in bus.enqueue { await job() } }
    }

    /// Runs `body` on the loop.
    func run<T: Sendable>(
        _ body: nonisolated(nonsending) @Sendable (Bus) async throws(QiError) -> T
    ) async throws(QiError) -> T {
        start()
        return try await body(bus)
    }

    /// As ``run(_:)``, of what cannot fail.
    func perform(_ body: nonisolated(nonsending) @Sendable (Bus) async -> Void) async {
        start()
        await body(bus)
    }

    /// Runs `body` on the loop soon, in the order of the calls: no task, no reply, one wake-up for a batch.
    nonisolated func submit(_ body: @escaping @Sendable (Bus) -> Void) {
        executor.submit { [box] in body(box.value) }
    }
}
