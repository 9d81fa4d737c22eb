import NIOCore

extension DialRace {
    /// Which endpoint is tried when, and who wins. Pure: events with their time in, what to do out.
    ///
    ///     started ──▶ dial the best; every stagger, and at every failure, dial the next ──▶ won │ lost
    ///
    /// The first that is connected and authenticated wins; the others are abandoned. It is lost when all have failed, or at the
    /// deadline. Candidates are numbered, best first.
    struct StateMachine {
        /// What follows a start, the end of a stagger or a failure.
        enum OnProgress: Equatable {
            /// Dial this candidate; when there are more after it, come back at `next`.
            case dial(Int, next: NIODeadline?)
            case wait
            /// Nobody is left; the candidates' errors in order.
            case lost([QiError])

            static func == (one: OnProgress, two: OnProgress) -> Bool {
                switch (one, two) {
                case (.dial(let a, let b), .dial(let c, let d)): a == c && b == d
                case (.wait, .wait): true
                case (.lost(let a), .lost(let b)): a.map(\.message) == b.map(\.message)
                default: false
                }
            }
        }

        /// What follows a success.
        enum OnConnected: Equatable {
            /// It wins: abandon these.
            case won(abandon: [Int])
            /// It came too late: close it.
            case discard
        }

        private enum Candidate {
            case waiting
            case running
            case failed(QiError)
        }

        private var candidates: [Candidate]
        private let stagger: TimeAmount
        /// When the next candidate is due although nothing failed.
        private var due: NIODeadline?
        private var isOver = false

        init(count: Int, stagger: TimeAmount) {
            candidates = Array(repeating: .waiting, count: count)
            self.stagger = stagger
        }

        mutating func started(at now: NIODeadline) -> OnProgress { dialNext(now) }

        /// The time that was asked for has come. Comes too early after a failure has moved the race on: then it waits on.
        mutating func staggerEnded(at now: NIODeadline) -> OnProgress {
            guard !isOver, let due, due <= now else { return .wait }
            return dialNext(now)
        }

        mutating func failed(_ index: Int, _ error: QiError, at now: NIODeadline) -> OnProgress {
            guard !isOver, case .running = candidates[index] else { return .wait }
            candidates[index] = .failed(error)
            return dialNext(now)
        }

        mutating func connected(_ index: Int) -> OnConnected {
            guard !isOver, case .running = candidates[index] else { return .discard }
            isOver = true
            return .won(abandon: running.filter { $0 != index })
        }

        /// The deadline, or nobody wants the connection any more: abandon these.
        mutating func ended() -> [Int] {
            guard !isOver else { return [] }
            isOver = true
            return running
        }

        private var running: [Int] {
            candidates.indices.filter { if case .running = candidates[$0] { true } else { false } }
        }

        private mutating func dialNext(_ now: NIODeadline) -> OnProgress {
            let waiting = candidates.indices.filter { if case .waiting = candidates[$0] { true } else { false } }
            guard let next = waiting.first else {
                due = nil
                guard running.isEmpty else { return .wait }
                isOver = true
                return .lost(candidates.compactMap { if case .failed(let error) = $0 { error } else { nil } })
            }
            candidates[next] = .running
            due = waiting.count > 1 ? now + stagger : nil
            return .dial(next, next: due)
        }
    }
}
