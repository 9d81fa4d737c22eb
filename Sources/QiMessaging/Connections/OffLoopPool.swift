import DequeModule

/// Gives work that runs off the loop to tasks of the global pool, which wait for it. Each runs one job at a time, for it is not told
/// when that suspends or blocks. Confined to the bus loop.
final class OffLoopPool {
    private var jobs: Deque<any OffLoopJob> = []
    private var idle: [(worker: Worker, task: UnsafeContinuation<(any OffLoopJob)?, Never>)] = []
    private var growth: UnsafeContinuation<Void, Never>?
    /// Workers that were added and have not asked for a job yet.
    private var comingWorkers = 0
    private var isShutDown = false

    /// Has `job` run at once; after the shutdown never. What was taken before it still runs.
    func run(_ job: any OffLoopJob) {
        guard !isShutDown else { return }
        if let (worker, task) = idle.popLast() { return give(job, to: worker, task) }
        jobs.append(job)
        grow()
    }

    private func give(_ job: any OffLoopJob, to worker: Worker, _ task: UnsafeContinuation<(any OffLoopJob)?, Never>) {
        worker.job = job
        job.begins(on: worker)
        task.resume(returning: job)
    }

    private func grow() {
        guard jobs.count > comingWorkers, let growth else { return }
        self.growth = nil
        growth.resume()
    }

    /// Returns when the pool must grow by one worker; false when the bus has ended.
    nonisolated(nonsending) func mayGrow() async -> Bool {
        while true {
            if jobs.count > comingWorkers {
                comingWorkers += 1
                return true
            }
            if isShutDown { return false }
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                if isShutDown || jobs.count > comingWorkers { continuation.resume() } else { growth = continuation }
            }
        }
    }

    /// The job of a worker has ended, if it had one, and its task wants the next. nil ends it: the bus has ended, it was cancelled for the
    /// sake of the last job, or more workers are idle than anybody needs.
    func next(of worker: Worker, _ task: UnsafeContinuation<(any OffLoopJob)?, Never>) {
        let last = worker.job
        worker.job = nil
        if let last { last.ended() } else { comingWorkers -= 1 }
        if !worker.isCancelled {
            if let job = jobs.popFirst() { return give(job, to: worker, task) }
            if !isShutDown, idle.count < WorkerPool.mostIdle { return idle.append((worker, task)) }
        }
        worker.ended()
        task.resume(returning: nil)
        grow()
    }

    /// Lets the workers end, each after its job.
    func shutDown() {
        isShutDown = true
        for (worker, task) in idle {
            worker.ended()
            task.resume(returning: nil)
        }
        idle = []
        growth?.resume()
        growth = nil
    }

    func forgetJobs() { jobs = [] }
}
