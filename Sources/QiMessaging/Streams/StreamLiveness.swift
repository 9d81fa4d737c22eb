import NIOCore

/// When a path of a device stream is asked whether it still is one, and when it is dead. Also measures its round trip. A pure value: time
/// comes in with the events.
///
/// A path is dead after 15 s of silence while something is unanswered: a ping, or frames that were not confirmed. A ping goes out at the
/// beginning, after 5 s of silence while something is unanswered, and every 5 minutes otherwise.
struct StreamLiveness {
    struct Times {
        /// Silence after which a path is dead, with something unanswered.
        var death = TimeAmount.seconds(15)
        /// Silence after which it is asked, with something unanswered.
        var question = TimeAmount.seconds(5)
        /// How often an idle path is asked.
        var idle = TimeAmount.minutes(5)
    }

    private let times: Times
    /// When something last came.
    private(set) var heard: NIODeadline
    /// Since when something is unanswered; nil when nothing is.
    private var unanswered: NIODeadline?
    private var asked: (token: UInt64, at: NIODeadline)?
    private var nextToken: UInt64 = 1
    private var lastAsked: NIODeadline?
    /// The last round trip that was measured, and a smoothed one.
    private(set) var roundTrip: TimeAmount?

    init(_ times: Times, at now: NIODeadline) {
        self.times = times
        heard = now
    }

    /// Something came.
    mutating func received(at now: NIODeadline) { heard = now }

    /// Whether frames wait for a confirmation.
    mutating func isAwaiting(_ awaits: Bool, at now: NIODeadline) {
        if !awaits, asked == nil { unanswered = nil } else if unanswered == nil { unanswered = now }
    }

    /// The answer to a ping: how long it took; nil for one that was not asked for.
    @discardableResult
    mutating func pong(_ token: UInt64, at now: NIODeadline) -> TimeAmount? {
        guard let question = asked, question.token == token else { return nil }
        let sample = now - question.at
        roundTrip = roundTrip.map { .nanoseconds(($0.nanoseconds * 3 + sample.nanoseconds) / 4) } ?? sample
        asked = nil
        return sample
    }

    enum OnTick: Equatable {
        case nothing
        /// To be sent.
        case ping(UInt64)
        case dead
    }

    mutating func tick(at now: NIODeadline) -> OnTick {
        if let since = unanswered {
            if now - max(heard, since) >= times.death { return .dead }
            guard asked == nil, now - max(heard, since) >= times.question else { return .nothing }
            return ask(now)
        }
        guard lastAsked.map({ now - max($0, heard) >= times.idle }) ?? true else { return .nothing }
        return ask(now)
    }

    /// Asks now; for one who wants to know.
    mutating func ask(_ now: NIODeadline) -> OnTick {
        guard asked == nil else { return .nothing }
        let token = nextToken
        nextToken += 1
        asked = (token, now)
        lastAsked = now
        if unanswered == nil { unanswered = now }
        return .ping(token)
    }

    /// When ``tick(at:)`` has something to say at the latest.
    func deadline(from now: NIODeadline) -> NIODeadline {
        guard unanswered == nil else { return now + min(times.question, times.death) / 5 }
        return max(lastAsked.map { max($0, heard) + times.idle } ?? now, now + times.question)
    }
}
