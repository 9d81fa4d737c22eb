import DequeModule
import Logging
import NIOCore
import QiWire
import Synchronization

/// One emission of a signal.
struct Emission: Sendable {
    let signal: UInt32
    let arguments: [QiValue]
    /// The arguments as bytes; nil when they hold objects, which every connection gets under an address of its own.
    let payload: ByteBuffer?
    /// Emissions of the signal that were left out before it.
    var missed = 0
}

/// Gets the emissions of a queue, on its event loop.
protocol EmissionTarget: AnyObject {
    func deliver(_ emission: Emission)
}

/// Emissions on their way to the connections of one event loop, in the order they were made on whatever thread. Bounded: an
/// emitter that outruns the loop loses its newest.
final class EmissionQueue: Sendable {
    private struct WeakTarget {
        weak var target: (any EmissionTarget)?
    }

    private struct State {
        var emissions: Deque<Emission> = []
        var isScheduled = false
        var dropped = 0
        /// Those that were dropped since the last one that was taken, by signal.
        var leftOut: [UInt32: Int] = [:]
        /// Signals that somebody on this loop subscribed to.
        var subscribed: Set<UInt32> = []
    }

    private static let capacity = 65_536
    private let state = Mutex(State())
    private let executor: LoopExecutor
    private let logger: Logger
    private let target: NIOLoopBoundBox<WeakTarget>

    /// On the loop.
    init(_ target: any EmissionTarget, on executor: LoopExecutor, logger: Logger) {
        self.executor = executor
        self.logger = logger
        self.target = NIOLoopBoundBox(WeakTarget(target: target), eventLoop: executor.eventLoop)
    }

    /// What was left out of a signal that has no subscriber any more is not told to its next one.
    func setSubscribed(_ signals: Set<UInt32>) {
        state.withLock { state in
            state.subscribed = signals
            if !state.leftOut.isEmpty { state.leftOut = state.leftOut.filter { signals.contains($0.key) } }
        }
    }

    func isSubscribed(_ signal: UInt32) -> Bool { state.withLock { $0.subscribed.contains(signal) } }

    /// Takes an emission if anybody here subscribed to it.
    func push(_ emission: Emission) {
        let (mustSchedule, dropped) = state.withLock { state -> (Bool, Int) in
            guard state.subscribed.contains(emission.signal) else { return (false, 0) }
            guard state.emissions.count < Self.capacity else {
                state.dropped += 1
                state.leftOut[emission.signal, default: 0] += 1
                return (false, state.dropped)
            }
            var emission = emission
            if !state.leftOut.isEmpty { emission.missed = state.leftOut.removeValue(forKey: emission.signal) ?? 0 }
            state.emissions.append(emission)
            defer { state.isScheduled = true }
            return (!state.isScheduled, 0)
        }
        if dropped > 0, dropped.nonzeroBitCount == 1 {
            logger.warning("event dropped: emitted faster than sent", metadata: ["qi.events.dropped": "\(dropped)"])
        }
        if executor.eventLoop.inEventLoop {
            drain()
            executor.scheduleDrain()
        } else if mustSchedule {
            executor.submit { [self] in drain() }
        }
    }

    private func drain() {
        while let emission = next() { target.value.target?.deliver(emission) }
    }

    private func next() -> Emission? {
        state.withLock { state in
            let emission = state.emissions.popFirst()
            if emission == nil { state.isScheduled = false }
            return emission
        }
    }
}
