/// Something that a worker of a bus's pool runs, and that may be cancelled while it runs or waits. Confined to the bus loop.
protocol PoolJob: AnyObject {
    func cancel()
    func run(on worker: Worker, in loop: isolated any Actor) async
    /// As ``run(on:in:)``, where the task-local values are set already.
    func runInSurroundings(on worker: Worker, in loop: isolated any Actor) async
    /// What it runs with, as task-local values: setting them costs as much as a short job, so that jobs which have them in common share it.
    var surroundings: AnyObject { get }
}

/// A piece of work off the loop: code that is not known to be safe on it.
protocol OffLoopJob: AnyObject, Sendable {
    /// On the loop: `worker` runs it now.
    func begins(on worker: Worker)
    /// In the global pool.
    @concurrent func run() async
    /// On the loop: it has run.
    func ended()
}

/// One worker of a bus's pool: a task that runs jobs one after the other, and the means to cancel it while it runs one that its
/// caller does not want any more. A cancelled worker ends with its job; the pool grows again when it must. Confined to the bus
/// loop.
final class Worker {
    private var waiting: UnsafeContinuation<Void, Never>?
    private var isEnded = false
    private(set) var isCancelled = false
    /// What its task runs off the loop. Held here, so that the call and all that is its go on the loop.
    var job: (any OffLoopJob)?

    /// Cancels the task that runs the present job.
    func cancel() {
        isCancelled = true
        signal()
    }

    /// The task has run its last job.
    func ended() {
        isEnded = true
        signal()
    }

    /// Returns when the task has ended or is to be cancelled.
    nonisolated(nonsending) func signalled() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            if isEnded || isCancelled { continuation.resume() } else { waiting = continuation }
        }
    }

    private func signal() {
        let waiting = waiting
        self.waiting = nil
        waiting?.resume()
    }
}
