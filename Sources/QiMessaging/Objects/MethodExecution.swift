import NIOCore
import QiWire

/// One call of an asynchronous method, from its place in the pool's queue to its answer. Confined to the bus loop.
final class MethodExecution: PoolJob {
    private let call: IncomingCall
    private let object: LocalObject
    private let method: ObjectMethod
    private var frame: MethodCall
    private var worker: Worker?
    private var isCancelled = false

    init(call: IncomingCall, object: LocalObject, method: ObjectMethod, frame: MethodCall) {
        self.call = call
        self.object = object
        self.method = method
        self.frame = frame
        if !call.isPost { call.execution = self }
    }

    /// Asks the method to end; it decides whether and how.
    func cancel() {
        isCancelled = true
        worker?.cancel()
    }

    /// Runs the method and answers the call.
    nonisolated(nonsending) func run(on worker: Worker) async {
        defer { if call.isPost { call.connection.endPost(call.payload.readableBytes) } }
        self.worker = worker
        if isCancelled { worker.cancel() }
        let result = await outcome()
        self.worker = nil
        switch result {
        case .success(let frame): object.finish(call, method, frame)
        case .failure where isCancelled: canceled()
        case .failure(let error): object.fail(call, method, error)
        }
    }

    private func canceled() {
        object.object.end(method.declared.meta.uid, call.observation, .error, .string("cancelled"))
        call.confirmCancellation()
    }

    private nonisolated(nonsending) func outcome() async -> Result<MethodCall, any Error> {
        let (body, frame) = (method.body, frame)
        let context = CallContext.shared(on: call.connection, at: call.address.target, to: object, for: call.relayed)
        if method.callType == .direct {
            return await CallContext.$current.withValue(context) { await Self.perform(body, frame, context) }
        }
        // User code is not known to be safe on the loop.
        return await withTaskExecutorPreference(globalConcurrentExecutor) {
            await CallContext.$current.withValue(context) { await Self.performOffLoop(body, frame, context) }
        }
    }

    @concurrent
    private static func performOffLoop(
        _ body: ObjectMethod.Body, _ frame: MethodCall, _ context: CallContext
    ) async -> Result<MethodCall, any Error> {
        await perform(body, frame, context)
    }

    private nonisolated(nonsending) static func perform(
        _ body: ObjectMethod.Body, _ frame: MethodCall, _ context: CallContext
    ) async -> Result<MethodCall, any Error> {
        var frame = frame
        do {
            switch body {
            case .values(let body): frame.resultValue = try await body(frame.takeValues(), context)
            case .typed(let body): try await body(&frame)
            case .immediate(let body): try body(&frame)
            }
            return .success(frame)
        } catch {
            return .failure(error)
        }
    }
}
