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
    static let urgent = (first: TimeAmount.milliseconds(500), most: TimeAmount.seconds(10))
    /// Pauses after failures to find a better path.
    static let patient = (first: TimeAmount.seconds(30), most: TimeAmount.minutes(10))
    /// A path that lived for less counts as one that failed.
    static let shortest = TimeAmount.seconds(10)

    /// Best first; the last is the fallback.
    private(set) var rungs: [Rung]
    private(set) var current: PathKind?
    private(set) var trying: PathKind?
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
        guard trying == nil else { return .wait(until: nil) }
        let wanted = wanted
        if let rung = wanted.first(where: { $0.notBefore.map { $0 <= now } ?? true }) {
            trying = rung.kind
            return .attempt(rung.kind)
        }
        return .wait(until: wanted.compactMap(\.notBefore).min())
    }

    /// What is to be tried, first things first.
    private var wanted: [Rung] {
        if let only { return current == only ? [] : rungs.filter { $0.kind == only } }
        guard let current else { return (rungs.last.map { [$0] } ?? []) + rungs.dropLast() }
        return Array(rungs.prefix { $0.kind != current })
    }

    /// The stream goes on over this path.
    mutating func attached(_ kind: PathKind, at now: NIODeadline) {
        if trying == kind { trying = nil }
        let isFirst = current == nil
        current = kind
        change(kind) {
            $0.reason = nil
            $0.failures = 0
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
        change(kind) {
            let lived = $0.attachedAt.map { now - $0 } ?? .zero
            $0.attachedAt = nil
            $0.reason = reason
            guard lived < Self.shortest else { return $0.notBefore = nil }
            $0.failures += 1
            $0.notBefore = now + Self.urgent.first
        }
    }

    /// The attempt failed.
    mutating func failed(_ kind: PathKind, _ reason: String, at now: NIODeadline) {
        if trying == kind { trying = nil }
        if kind == only { attempts += 1 }
        let pauses = current == nil ? Self.urgent : Self.patient
        change(kind) {
            $0.reason = reason
            $0.notBefore = now + .nanoseconds(min(pauses.first.nanoseconds << min($0.failures, 10), pauses.most.nanoseconds))
            $0.failures += 1
        }
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
