import NIOCore

/// Waiting for a path that is expected back.
extension RemoteObject {
    /// Calls back once: with nil when there is a path (at once if there is one now), with the error at `deadline` and when the object
    /// ends.
    ///
    /// - Returns: what ``stopWaiting(_:_:)`` takes; nil when it has called back already.
    func whenAttached(until deadline: NIODeadline, _ completion: @escaping (QiError?) -> Void) -> UInt64? {
        if connection != nil {
            completion(nil)
            return nil
        }
        guard !isEnded, deadline > .now() else {
            completion(lostError)
            return nil
        }
        guard !attachWaiters.isFull else {
            completion(QiError(.limit, "\(AttachWaiters.maximum) calls wait for \(name) to come back"))
            return nil
        }
        let slot = Slot()
        let token = attachWaiters.add { error in
            slot.timer?.cancel()
            completion(error)
        }
        slot.timer = bus.schedule(at: deadline) { [weak self] in
            guard let self else { return }
            var error = lostError
            error.message += "; it did not come back before the deadline"
            stopWaiting(token, error)
        }
        return token
    }

    private final class Slot {
        var timer: Scheduled<Void>?
    }

    /// Ends a waiting with `error`, if it has not ended.
    func stopWaiting(_ token: UInt64, _ error: QiError) { attachWaiters.remove(token)?(error) }

    /// Returns when there is a path.
    nonisolated(nonsending) func attached(until deadline: NIODeadline) async throws(QiError) {
        let failure: QiError? = await withUnsafeContinuation { continuation in
            _ = whenAttached(until: deadline) { continuation.resume(returning: $0) }
        }
        if let failure { throw failure }
    }
}
