import DequeModule

/// Runs the asynchronous work of a bus on its loop, in tasks that wait for it. One task runs one job after the other, until one of them
/// suspends: then the next task goes on with the jobs that are left. Confined to the bus loop.
final class WorkerPool {
    /// Work that runs isolated to the bus's ``BusLoop``.
    typealias Work = nonisolated(nonsending) () async -> Void

    enum Job {
        case work(Work)
        case method(any PoolJob)
    }

    private let executor: LoopExecutor
    private var jobs: Deque<Job> = []
    private var idleWorkers: [UnsafeContinuation<Void, Never>] = []
    private var growth: UnsafeContinuation<Void, Never>?
    /// Whether a worker was added or woken and has not taken its job yet.
    private var isWorkerComing = false
    private var isShutDown = false

    /// How many workers may wait for jobs.
    static let mostIdle = 64

    init(_ executor: LoopExecutor) { self.executor = executor }

    /// Runs `job` soon; after the shutdown never. What was taken before it still runs, for somebody may wait for it.
    func enqueue(_ job: Job) {
        guard !isShutDown else { return }
        jobs.append(job)
        callWorker()
    }

    /// Has a worker come for the jobs that wait, unless one is on its way. Called after each burst of the loop as well: the worker that
    /// was there may have suspended.
    func callWorker() {
        guard !jobs.isEmpty, !isWorkerComing else { return }
        if let worker = idleWorkers.popLast() {
            isWorkerComing = true
            worker.resume()
        } else if let growth {
            self.growth = nil
            growth.resume()
        }
        executor.scheduleDrain()
    }

    /// Returns when the pool must grow by one worker; false when the bus has ended and nothing is left to run.
    nonisolated(nonsending) func mayGrow() async -> Bool {
        while true {
            if !jobs.isEmpty, !isWorkerComing {
                isWorkerComing = true
                return true
            }
            if isShutDown, jobs.isEmpty { return false }
            // All inside, for the job may come on the way there.
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                if jobs.isEmpty ? isShutDown : !isWorkerComing { continuation.resume() } else { growth = continuation }
            }
        }
    }

    /// What a worker's task does: runs jobs until the bus ends, until it was cancelled for the sake of one, or until there are more
    /// idle workers than anybody needs.
    func work(_ worker: Worker, in loop: isolated any Actor) async {
        defer { worker.ended() }
        while true {
            isWorkerComing = false
            while let job = jobs.popFirst() {
                switch job {
                case .work(let work): await work()
                case .method(let job): await job.run(on: worker, in: loop)
                }
                if worker.isCancelled {
                    callWorker()
                    return endGrowth()
                }
            }
            if isShutDown { return endGrowth() }
            if idleWorkers.count >= Self.mostIdle { return }
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                if isShutDown { continuation.resume() } else { idleWorkers.append(continuation) }
            }
        }
    }

    /// After the shutdown the pool grows until nothing is left.
    private func endGrowth() {
        guard isShutDown, jobs.isEmpty, let growth else { return }
        self.growth = nil
        growth.resume()
    }

    /// The next job for a worker that has run one in `surroundings`, when that has the same.
    func next(in surroundings: AnyObject) -> (any PoolJob)? {
        guard case .method(let job) = jobs.first, job.surroundings === surroundings else { return nil }
        jobs.removeFirst()
        return job
    }

    /// Lets the workers end.
    func shutDown() {
        isShutDown = true
        for worker in idleWorkers { worker.resume() }
        idleWorkers = []
        growth?.resume()
        growth = nil
    }

    func forgetJobs() { jobs = [] }
}
