import NIOCore

extension ObjectProxy {
    /// Returns when the object can be called: at once while its path is up, else when the path is back.
    ///
    /// - Throws: why the path is down, when it is not back within `time`; `.notFound` when the object is gone for good; `.cancelled`.
    public func whenReachable(within time: Duration = .seconds(10)) async throws(QiError) {
        switch handle.target {
        case .local(let object): _ = try handle.requireLocal(object)
        case .remote(let path):
            let (loop, target) = (path.loop, path.object)
            if let failure = await Self.wait(for: target, on: loop, until: .now() + TimeAmount(time)) { throw failure }
        }
    }

    private struct Waiting {
        var token: UInt64?
        var isCancelled = false
    }

    private static func wait(
        for target: NIOLoopBound<RemoteObject>, on loop: BusLoop, until deadline: NIODeadline
    ) async -> QiError? {
        await loop.start()
        let waiting = NIOLoopBoundBox.makeBoxSendingValue(Waiting(), eventLoop: loop.eventLoop)
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                loop.submit { _ in
                    if waiting.value.isCancelled { return continuation.resume(returning: CallFlight.cancellation) }
                    waiting.value.token = target.value.whenAttached(until: deadline) { continuation.resume(returning: $0) }
                }
            }
        } onCancel: {
            loop.submit { _ in
                waiting.value.isCancelled = true
                if let token = waiting.value.token { target.value.stopWaiting(token, CallFlight.cancellation) }
            }
        }
    }
}
