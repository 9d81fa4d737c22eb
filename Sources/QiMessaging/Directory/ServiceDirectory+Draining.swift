import NIOCore
import QiWire

/// How a directory stops gracefully.
extension ServiceDirectory {
    /// Between two looks whether anything is in work.
    private static let look = TimeAmount.milliseconds(10)

    /// Refuses new calls with `reason` from now on, waits until those in work are answered, and then ends every connection from outside
    /// behind its last answer. Returns when all have ended, at `deadline`, at the shutdown, or when the task is cancelled. Any number of callers may wait.
    ///
    /// Calls that belong to what is in work are still taken: those of a peer that a call of ours waits for, those to an object that was
    /// passed as an argument, and those of programs that host services here.
    nonisolated(nonsending) func drain(until deadline: NIODeadline, refusing reason: QiError) async {
        if stopping == nil {
            stopping = reason
            for connection in connections.values { refuseCalls(on: connection) }
        }
        while connections.values.contains(where: \.isBusy), mayWait(until: deadline) { await bus.pause(Self.look) }
        if mayWait(until: deadline), endReason == nil { endInOrder(reason) }
        while departing > 0, mayWait(until: deadline) { await bus.pause(Self.look) }
    }

    private func mayWait(until deadline: NIODeadline) -> Bool { !bus.isShutDown && !Task.isCancelled && .now() < deadline }

    /// A connection that opens while it stops gets the same answer.
    func refuseCalls(on connection: Connection) {
        guard let stopping, table.count(of: .connection(connection.id)) == 0 else { return }
        connection.refusal = stopping.wireText
    }

    /// Those from outside end, and our own to other devices; of the robot's own programs what was sent to them leaves.
    private func endInOrder(_ reason: QiError) {
        // Their services are those that are awaited after the next start.
        closeJournal()
        endReason = reason
        for connection in Array(connections.values) + (gateway?.links.values.compactMap(\.connection) ?? []) {
            departing += 1
            if connection.isOutside || connection.role == .client {
                connection.closeInOrder(.stopped(reason)) { self.departing -= 1 }
            } else {
                connection.whenSent { self.departing -= 1 }
            }
        }
    }
}
