import NIOCore
import QiWire

/// How a directory stops gracefully.
extension ServiceDirectory {
    /// Between two looks whether anything is in work.
    private static let look = TimeAmount.milliseconds(10)

    /// Refuses new calls with `reason` from now on, and ends each connection from outside behind its last answer when nothing is in work on
    /// it. Returns when nothing is in work any more and all has left; at `deadline`, at the shutdown, or when the task is cancelled. Any
    /// number of callers may wait.
    ///
    /// Calls that belong to what is in work are still taken: those of a peer that a call of ours waits for, those to an object that was
    /// passed as an argument, and those of programs that host services here.
    nonisolated(nonsending) func drain(until deadline: NIODeadline, refusing reason: QiError) async {
        if stopping == nil {
            stopping = reason
            for connection in connections.values { refuseCalls(on: connection) }
        }
        while mayWait(until: deadline) {
            endIdle(reason)
            // Of the loop, for a call may come and go by connections of others: of a master, of a tunnel's own directory.
            if !bus.isBusy, !isAwaitingDevices { break }
            await bus.pause(Self.look)
        }
        if mayWait(until: deadline), endReason == nil { endInOrder(reason) }
        while departing > 0, mayWait(until: deadline) { await bus.pause(Self.look) }
    }

    private func mayWait(until deadline: NIODeadline) -> Bool { !bus.isShutDown && !Task.isCancelled && .now() < deadline }

    /// A connection that opens while it stops gets the same answer.
    func refuseCalls(on connection: Connection) {
        guard let stopping, table.count(of: .connection(connection.id)) == 0 else { return }
        connection.refusal = stopping.wireText
    }

    /// A device's tunnels have a direction: it serves on the one that we opened, and calls on its own.
    func isServed(by connection: Connection) -> Bool {
        guard let device = connection.origin.device else { return false }
        return gateway?.links[device]?.connection.map { $0.callsInFlight > 0 } ?? false
    }

    /// Whether a call of ours is in work on another device.
    private var isAwaitingDevices: Bool { gateway?.links.values.contains { ($0.connection?.callsInFlight ?? 0) > 0 } ?? false }

    /// Those from outside on which nothing is in work need not wait for the others.
    private func endIdle(_ reason: QiError) {
        for connection in connections.values where connection.isOutside && !connection.isBusy && connection.callsInFlight == 0 {
            guard connection.refusal != nil, !isServed(by: connection) else { continue }
            depart(connection, reason)
        }
    }

    private func depart(_ connection: Connection, _ reason: QiError) {
        guard departed.insert(connection.id).inserted else { return }
        departing += 1
        let closesAtOnce = connection.origin.path.closesAtOnce
        connection.closeInOrder(.stopped(reason)) { [self] isSent in
            // A socket's end is the system's matter; a bytestream has to tell the other device.
            if isSent == closesAtOnce { departing -= 1 }
        }
    }

    /// The others from outside end, and our own tunnels; of the robot's own programs, and of a master, what was sent to them leaves.
    private func endInOrder(_ reason: QiError) {
        endReason = reason
        let links = gateway?.links.values.compactMap(\.connection) ?? []
        for connection in Array(connections.values) + links where connection.isOutside || connection.role == .client {
            depart(connection, reason)
        }
        let inside = connections.values.filter { !$0.isOutside } + [master?.follower.connection].compactMap { $0 }
        for connection in inside {
            departing += 1
            connection.whenSent { self.departing -= 1 }
        }
    }
}
