import NIOCore

/// Which path a device stream tries next, and when.
///
/// The widest path that works is wanted; the last one, the fallback, is there at once. Without a path the fallback is tried first, then the
/// others; with one, only better ones. What failed is tried again after a while that grows, and at once when something has changed. A pure
/// value: time comes in with the events.
struct PathLadderStateMachine {
    /// What is known of one kind of path.
    struct Rung {
        let kind: PathKind
        /// Why it is not in use; nil: it was not tried yet, or is in use.
        fileprivate(set) var reason: String?
        fileprivate var failures = 0
        fileprivate var notBefore: NIODeadline?
        fileprivate var attachedAt: NIODeadline?

        /// How long until it is tried again by itself; nil: not before something changes, or now.
        func pause(at now: NIODeadline) -> TimeAmount? { notBefore.flatMap { $0 > now ? $0 - now : nil } }
    }

    /// Pauses after failures while there is no path at all.
    static let urgent = (first: TimeAmount.milliseconds(500), most: TimeAmount.seconds(5))
    /// Pauses after failures to find a better path.
    static let patient = (first: TimeAmount.seconds(30), most: TimeAmount.minutes(10))
    /// A path that lived for less counts as one that failed.
    static let shortest = TimeAmount.seconds(60)

    /// Best first; the last is the fallback.
    private(set) var rungs: [Rung]
    private(set) var current: PathKind?
    private(set) var trying: Set<PathKind> = []
    /// Whether better paths than the fallback may be tried: the device has proven itself on the first one.
    private(set) var mayClimb = false
    /// The only kind that is tried; nil: all.
    private(set) var only: PathKind?
    /// Attempts at that kind that failed.
    private(set) var attempts = 0

    /// - Parameter kinds: best first, at least one.
    init(_ kinds: [PathKind]) { rungs = kinds.map { Rung(kind: $0) } }

    enum OnNext: Equatable {
        case attempt(PathKind)
        /// Nothing to do before that, or before something happens.
        case wait(until: NIODeadline?)
    }

    /// What to do now.
    mutating func next(at now: NIODeadline) -> OnNext {
        // The fallback does not wait for an attempt at another path, when there is none.
        let wanted = wanted.filter { trying.isEmpty || (current == nil && $0.kind == fallback && !trying.contains($0.kind)) }
        if let rung = wanted.first(where: { $0.notBefore.map { $0 <= now } ?? true }) {
            trying.insert(rung.kind)
            return .attempt(rung.kind)
        }
        return .wait(until: wanted.compactMap(\.notBefore).min())
    }

    private var fallback: PathKind? { rungs.last?.kind }

    /// The device has proven who it is: better paths are tried from now on.
    mutating func climb() { mayClimb = true }

    /// What is to be tried, first things first.
    private var wanted: [Rung] {
        guard mayClimb else { return current == nil ? rungs.suffix(1) : [] }
        if let only { return current == only ? [] : rungs.filter { $0.kind == only } }
        guard let current else { return (rungs.last.map { [$0] } ?? []) + rungs.dropLast() }
        return Array(rungs.prefix { $0.kind != current })
    }

    /// The stream goes on over this path.
    mutating func attached(_ kind: PathKind, at now: NIODeadline) {
        trying.remove(kind)
        let isFirst = current == nil
        current = kind
        change(kind) {
            $0.reason = nil
            $0.attachedAt = now
        }
        // What failed in haste is given its time.
        guard isFirst else { return }
        for index in rungs.indices where rungs[index].failures > 0 && rungs[index].kind != kind {
            rungs[index].notBefore = now + Self.patient.first
        }
    }

    /// The path in use is gone.
    mutating func lost(_ kind: PathKind, _ reason: String, at now: NIODeadline) {
        guard current == kind else { return }
        current = nil
        let isFallback = kind == fallback
        change(kind) {
            let lived = $0.attachedAt.map { now - $0 } ?? .zero
            $0.attachedAt = nil
            $0.reason = reason
            $0.notBefore = nil
            guard lived < Self.shortest else { return $0.failures = 0 }
            $0.notBefore = now + (isFallback ? Self.urgent.first : Self.pause(Self.patient, $0.failures))
            $0.failures += 1
        }
    }

    /// The attempt failed.
    mutating func failed(_ kind: PathKind, _ reason: String, at now: NIODeadline) {
        trying.remove(kind)
        if kind == only { attempts += 1 }
        let pauses = current == nil ? Self.urgent : Self.patient
        change(kind) {
            $0.reason = reason
            $0.notBefore = now + Self.pause(pauses, $0.failures)
            $0.failures += 1
        }
    }

    private static func pause(_ pauses: (first: TimeAmount, most: TimeAmount), _ failures: Int) -> TimeAmount {
        .nanoseconds(min(pauses.first.nanoseconds << min(failures, 10), pauses.most.nanoseconds))
    }

    /// The stream is to stay on one kind of path; nil: it chooses for itself again.
    mutating func keep(to kind: PathKind?) {
        only = kind
        encouraged()
    }

    /// Something has changed, in the network or about the device: everything may be tried again at once.
    mutating func encouraged() {
        for index in rungs.indices {
            rungs[index].notBefore = nil
            rungs[index].failures = 0
        }
    }

    private mutating func change(_ kind: PathKind, _ body: (inout Rung) -> Void) {
        guard let index = rungs.firstIndex(where: { $0.kind == kind }) else { return }
        body(&rungs[index])
    }
}
