import DequeModule
import NIOCore

/// Whom a connection asks for a turn when it has more to take than one holds (``BurstTurn``).
protocol TurnGiver: AnyObject {
    /// Calls ``Connection/goOn()`` when the turn of this connection comes. The loop is drained after it.
    func append(_ connection: Connection)
}

/// Connections with more to take than one turn holds (``BurstTurn``): they go on one after the other for as long as one of them may, and
/// then the loop looks what else there is. Confined to the bus loop.
final class TurnQueue: TurnGiver {
    /// Long enough that the loop looks at its sockets: a task that is due at once would run before them.
    static let pause = TimeAmount.microseconds(20)

    private let executor: LoopExecutor
    private var waiting: Deque<Connection> = []
    private var isScheduled = false

    init(_ executor: LoopExecutor) { self.executor = executor }

    var count: Int { waiting.count }

    func append(_ connection: Connection) {
        waiting.append(connection)
        schedule()
    }

    /// The bus has ended; its connections are closed.
    func clear() { waiting = [] }

    private func schedule() {
        guard !isScheduled, !waiting.isEmpty else { return }
        isScheduled = true
        executor.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [weak self] in
            guard let self else { return }
            isScheduled = false
            serve()
            schedule()
            executor.scheduleDrain()
        }
    }

    private func serve() {
        let end = NIODeadline.now() + BurstTurn.Bounds.judged.time
        // Each once: who comes back waits behind the others.
        for _ in 0..<waiting.count {
            waiting.popFirst()?.goOn()
            if NIODeadline.now() >= end { return }
        }
    }
}
