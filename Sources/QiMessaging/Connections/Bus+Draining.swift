import NIOCore

/// How a bus stops gracefully: new calls are refused in words, and those that are in work may end.
extension Bus {
    /// Between two looks whether anything is in work.
    private static let look = TimeAmount.milliseconds(10)

    /// Refuses every new call with `reason` from now on, and returns when all that are in work are answered and their answers have left,
    /// at `deadline`, at the shutdown, or when the task is cancelled.
    nonisolated(nonsending) func drain(until deadline: NIODeadline, refusing reason: QiError) async {
        refusal = reason.wireText
        while isBusy, !isShutDown, !Task.isCancelled, .now() < deadline { await pause(min(Self.look, deadline - .now())) }
    }
}

extension BusLoop {
    /// Refuses every new call of a peer with `reason` from now on, and returns when those in work are answered, or after `time`. What
    /// comes next is ``shutDown()``. Posts and events are still taken, and calls of our own go out.
    public func drain(within time: Duration, refusing reason: QiError) async {
        await bus.drain(until: .now() + TimeAmount(time), refusing: reason)
    }
}
