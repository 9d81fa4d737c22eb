/// Whether a connection of a device is alive, as a value: when something last came from it, and what became of our questions (XEP-0199).
///
/// A connection is one that its server calls available. That alone is believed as long as nothing speaks against it: a server says it of a
/// process that hangs, and of one whose power or network has gone, until it notices. Two things speak against it: a question that was
/// not answered within ``patience`` while nothing else came, though our own server does answer, and a server that answers in the device's
/// place that it is not there.
/// Anything that comes afterwards, a late answer as well, speaks for it again.
///
/// Time comes in with the events.
struct Liveness: Hashable, Sendable {
    typealias Instant = ContinuousClock.Instant

    private enum Question: Hashable {
        case none
        case asked(UInt64, at: Instant)
        /// The patience is over; whether that is the fault of our own path is being found out.
        case late(UInt64, at: Instant)
        /// It was judged at the end of the patience; an answer may come yet.
        case overdue(UInt64, at: Instant)
    }

    /// When something last came from it; nil while only its server has spoken.
    private(set) var heard: Instant?
    /// Since when it has not answered; nil while nothing speaks against it.
    private(set) var staleSince: Instant?
    /// Of the last question that was answered.
    private(set) var roundTrip: Duration?
    private var roundTrips: [Duration] = []
    private var question = Question.none

    /// How long a sign of life counts: until then nothing is asked.
    static let freshness: Duration = .seconds(8)
    /// How long after a question that was not answered the next one is asked.
    static let repetition: Duration = .seconds(8)
    /// The patience with a connection that was never measured.
    static let usualPatience: Duration = .seconds(5)
    /// No patience is shorter: a path may hiccup.
    static let leastPatience: Duration = .seconds(2)
    /// No patience is longer.
    static let mostPatience: Duration = .seconds(10)
    /// How many round trips are remembered.
    private static let memory = 8

    init(heard: Instant?) { self.heard = heard }

    // MARK: - What is known

    /// How long an answer may take: four times the slowest of the last ones, so that a connection on a narrow path is given the time that
    /// it needs, and one that has always been quick is not waited for.
    var patience: Duration {
        guard let slowest = roundTrips.max() else { return Self.usualPatience }
        return min(max(slowest * 4, Self.leastPatience), Self.mostPatience)
    }

    /// When the patience with a question ends; nil when none is under way, or it has ended.
    var due: Instant? {
        if case .asked(_, let at) = question { at + patience } else { nil }
    }

    /// Whether the patience with its question is over, and that was not judged.
    var isLate: Bool { if case .late = question { true } else { false } }

    /// From when on it may be asked: it was not heard lately, and no question is open.
    var mayBeAskedFrom: Instant? {
        let stale = heard.map { $0 + Self.freshness }
        switch question {
        case .none: return stale
        case .asked(_, let at), .late(_, let at): return max(at + patience, stale ?? at)
        case .overdue(_, let at): return max(at + Self.repetition, stale ?? at)
        }
    }

    /// Whether it may be asked: at once when nothing was heard and nothing asked yet.
    func mayBeAsked(at now: Instant) -> Bool {
        switch question {
        case .asked, .late: false
        case .none, .overdue: mayBeAskedFrom.map { $0 <= now } ?? true
        }
    }

    // MARK: - Events

    // Each answers whether the connection is stale now and was not, or the other way round.

    /// Something came from it.
    mutating func heard(at now: Instant) -> Bool {
        defer { staleSince = nil }
        heard = now
        return staleSince != nil
    }

    /// Something came from it then by another way, of which we learn only now: what was asked after that is not answered by it.
    mutating func wasHeard(at then: Instant) -> Bool {
        if let heard, heard >= then { return false }
        heard = then
        guard let since = staleSince, then >= since else { return false }
        staleSince = nil
        return true
    }

    /// It is asked.
    mutating func asked(_ number: UInt64, at now: Instant) { question = .asked(number, at: now) }

    /// It answered a question, this one or an earlier one.
    mutating func answered(in roundTrip: Duration, at now: Instant) -> Bool {
        self.roundTrip = roundTrip
        roundTrips = roundTrips.suffix(Self.memory - 1) + [roundTrip]
        question = .none
        return heard(at: now)
    }

    /// The patience with its question is over.
    mutating func late() {
        if case .asked(let number, let at) = question { question = .late(number, at: at) }
    }

    /// A late question is judged.
    ///
    /// - Parameter isOurPathUp: whether our own server answers; else nothing follows.
    mutating func judged(isOurPathUp: Bool) -> Bool {
        guard case .late(let number, let at) = question else { return false }
        question = .overdue(number, at: at)
        return isOurPathUp && unanswered(since: at)
    }

    /// It has not answered a question that was asked then, tested or not by ``patience``: a request for a tunnel, for example.
    mutating func unanswered(since at: Instant) -> Bool {
        if let heard, heard >= at { return false }
        defer { staleSince = staleSince ?? at }
        return staleSince == nil
    }

    /// Its server said in its place that it is not there.
    mutating func unreachable(_ number: UInt64) -> Bool {
        guard let at = open(number) else { return false }
        question = .overdue(number, at: at)
        return unanswered(since: at)
    }

    /// The question ended without saying anything of the connection: we lost ours, for example.
    mutating func failed(_ number: UInt64) {
        if let at = open(number) { question = .overdue(number, at: at) }
    }

    /// When that question was asked, if it is the last one.
    private func open(_ number: UInt64) -> Instant? {
        switch question {
        case .asked(number, let at), .late(number, let at), .overdue(number, let at): at
        case .none, .asked, .late, .overdue: nil
        }
    }
}
