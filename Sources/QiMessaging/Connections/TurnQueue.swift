import DequeModule
import NIOCore

/// One that has more to take than one turn holds (``BurstTurn``).
protocol TurnTaker: AnyObject {
    /// The turn has come.
    func goOn()
}

/// Who is asked for a turn.
protocol TurnGiver: AnyObject {
    /// Calls ``TurnTaker/goOn()`` when its turn comes. The loop is drained after it.
    func append(_ taker: any TurnTaker)
}

/// Connections with more to take than one turn holds (``BurstTurn``): they go on one after the other for as long as one of them may, and
/// then the loop looks what else there is. Confined to the bus loop.
final class TurnQueue: TurnGiver {
    /// Long enough that the loop looks at its sockets: a task that is due at once would run before them.
    static let pause = TimeAmount.microseconds(20)

    private let executor: LoopExecutor
    private var waiting: Deque<any TurnTaker> = []
    private var isScheduled = false

    init(_ executor: LoopExecutor) { self.executor = executor }

    var count: Int { waiting.count }

    func append(_ taker: any TurnTaker) {
        waiting.append(taker)
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
