import NIOCore
import QiWire

/// One call of an asynchronous method, from its place in a pool's queue to its answer.
// @unchecked: confined to the bus loop, but for `frame` and `failure`, which are the task's that runs the method until that has ended.
final class MethodExecution: PoolJob, OffLoopJob, @unchecked Sendable {
    private let call: IncomingCall
    private let object: LocalObject
    private let method: ObjectMethod
    private let context: CallContext
    private var frame: MethodCall
    private var failure: (any Error)?
    private var worker: Worker?
    private var isCancelled = false

    init(call: IncomingCall, object: LocalObject, method: ObjectMethod, frame: consuming MethodCall) {
        self.call = call
        self.object = object
        self.method = method
        self.frame = frame
        context = CallContext.shared(on: call.connection, at: call.address.target, to: object, for: call.relayed)
        if !call.isPost { call.execution = self }
    }

    /// Asks the method to end; it decides whether and how.
    func cancel() {
        isCancelled = true
        worker?.cancel()
    }

    func begins(on worker: Worker) {
        self.worker = worker
        guard isCancelled else { return }
        // The method decides what a cancellation does, but begins nothing when everything ends.
        if object.bus.isShutDown { failure = CancellationError() } else { worker.cancel() }
    }

    /// Answers the call.
    func ended() {
        worker = nil
        defer { if call.isPost { call.connection.endPost(call.payload.readableBytes) } }
        guard let failure else { return object.finish(call, method, &frame) }
        if isCancelled { canceled() } else { object.fail(call, method, failure) }
    }

    private func canceled() {
        object.object.end(method.declared.meta.uid, call.observation, .error, .string("cancelled"))
        call.confirmCancellation()
    }

    // MARK: - On the loop

    var surroundings: AnyObject { context.identity }

    /// Runs this one, and what waits behind it of calls in the same context.
    func run(on worker: Worker, in loop: isolated any Actor) async {
        await CallContext.$current.withValue(context) {
            await runInSurroundings(on: worker, in: loop)
            while !worker.isCancelled, let next = object.bus.pool.next(in: surroundings) {
                await next.runInSurroundings(on: worker, in: loop)
            }
        }
    }

    func runInSurroundings(on worker: Worker, in loop: isolated any Actor) async {
        begins(on: worker)
        await perform()
        ended()
    }

    // MARK: - Off the loop

    /// User code is not known to be safe on the loop.
    @concurrent
    func run() async {
        await CallContext.$current.withValue(context) { await perform() }
    }

    private nonisolated(nonsending) func perform() async {
        guard failure == nil else { return }
        do {
            switch method.body {
            case .values(let body): frame.setResult(try await body(frame.takeValues(), context))
            case .typed(let body): try await body(&frame)
            case .immediate(let body): try body(&frame)
            }
        } catch {
            failure = error
        }
    }
}
