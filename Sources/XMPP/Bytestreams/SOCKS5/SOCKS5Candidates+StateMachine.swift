import NIOCore

/// How two sides agree on one candidate of a SOCKS5 bytestream (XEP-0260 §2.3, §2.4). Each side dials the candidates of the other, says
/// which one it got, or that it got none, and both come to the same conclusion:
///
///     dialling ── both have spoken ──▶ the best of what was got
///         ├── a candidate we dialled, direct ──▶ settled
///         ├── a candidate of ours, direct ──▶ expecting its connection ──▶ settled
///         ├── a proxy of theirs ──▶ expecting its activation ──▶ settled
///         ├── a proxy of ours ──▶ joining it ──▶ settled
///         └── nothing ──▶ failed
///
/// After each event the caller closes what ``takeAbandoned()`` names, follows ``takeNomination()``, and calls ``advance(now:)``. A pure
/// value: dials, sockets and stanzas are the caller's, and so is the deadline of the whole. What the peer says out of order is answered by
/// ``OnPeer``'s `outOfOrder` and changes nothing.
struct SOCKS5CandidatesStateMachine: Sendable {
    /// Bounds and pauses of one negotiation.
    struct Limits: Sendable {
        /// Most candidates of a peer that are looked at: those of the highest priority.
        var candidates = 8
        /// Most dials at one time.
        var parallel = 4
        /// Between the beginnings of two dials (XEP-0260 §4).
        var stagger: TimeAmount = .milliseconds(200)
        /// Before the first dial to a proxy, beside that: a direct way that is a little slower is still the better one (XEP-0260 §4).
        var proxyPause: TimeAmount = .milliseconds(400)
        /// How long the other side may take after the two agreed: to connect, or to activate its proxy.
        var patience: TimeAmount = .seconds(5)
    }

    private struct Attempt {
        enum State: Equatable {
            case waiting, dialling, connected
            case over(String)
        }

        let candidate: SOCKS5Candidate
        var state = State.waiting
    }

    /// What a side said of the other's candidates.
    private enum Verdict: Equatable {
        case used(SOCKS5Candidate)
        case nothing
    }

    private enum Phase: Equatable {
        /// We have offered; the peer's candidates are not known yet.
        case offered
        case dialling
        case expectingConnection(SOCKS5Candidate, until: NIODeadline?)
        case expectingActivation(SOCKS5Candidate, until: NIODeadline?)
        case joining(SOCKS5Candidate)
        case settled(SOCKS5Candidate, isOurs: Bool)
        case failed
    }

    private let isInitiator: Bool
    private let limits: Limits
    private let ours: [SOCKS5Candidate]
    private var theirs: [Attempt] = []
    private var phase = Phase.offered
    private var ourVerdict: Verdict?
    private var theirVerdict: Verdict?
    /// Candidates of ours at which the peer's connection has arrived.
    private var arrived: Set<String> = []
    /// A peer may activate its proxy before it has read what we say.
    private var activated: String?
    private var nextDial: NIODeadline?
    private var abandoned: [String] = []
    private var isNominationTaken = false

    /// - Parameter ours: what we offer, with ids of their own.
    init(isInitiator: Bool, ours: [SOCKS5Candidate], limits: Limits = Limits()) {
        self.isInitiator = isInitiator
        self.ours = ours
        self.limits = limits
    }

    // MARK: Dialling

    /// The peer's candidates are known and may be dialled. False when they were known before.
    mutating func started(_ candidates: [SOCKS5Candidate]) -> Bool {
        guard phase == .offered else { return false }
        phase = .dialling
        var names: Set<String> = []
        let unique = candidates.filter { names.insert($0.cid).inserted }
        // Stable: among equals the peer's order counts.
        let sorted = unique.enumerated().sorted { ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset) }
        theirs = sorted.prefix(limits.candidates).map { Attempt(candidate: $0.element) }
        return true
    }

    /// What to do as time goes by.
    struct OnAdvance: Equatable {
        /// To be dialled now.
        var dials: [SOCKS5Candidate] = []
        /// When to ask again; nil when nothing is waited for.
        var wake: NIODeadline?
        /// Say that none of the peer's candidates can be reached.
        var tellsFailure = false
    }

    /// Begins the dials that are due, the best candidates first.
    mutating func advance(now: NIODeadline) -> OnAdvance {
        var result = OnAdvance()
        switch phase {
        case .dialling: break
        case .expectingConnection(let candidate, nil):
            phase = .expectingConnection(candidate, until: now + limits.patience)
            return OnAdvance(wake: now + limits.patience)
        case .expectingActivation(let candidate, nil):
            phase = .expectingActivation(candidate, until: now + limits.patience)
            return OnAdvance(wake: now + limits.patience)
        case .expectingConnection(_, let until?), .expectingActivation(_, let until?):
            if until <= now { fail() }
            return OnAdvance(wake: until <= now ? nil : until)
        case .offered, .joining, .settled, .failed: return result
        }
        guard ourVerdict == nil else { return result }
        while let index = theirs.firstIndex(where: { $0.state == .waiting }) {
            guard theirs.count(where: { $0.state == .dialling }) < limits.parallel else { return result }
            if let due = due(theirs[index].candidate, now: now), due > now {
                result.wake = due
                return result
            }
            theirs[index].state = .dialling
            nextDial = now + limits.stagger
            result.dials.append(theirs[index].candidate)
        }
        if theirs.allSatisfy({ $0.state != .dialling }) {
            ourVerdict = Verdict.nothing
            result.tellsFailure = true
            conclude()
        }
        return result
    }

    /// When a candidate may be dialled; nil for at once. The first proxy after direct candidates waits a little longer, unless all of these
    /// have failed.
    private func due(_ candidate: SOCKS5Candidate, now: NIODeadline) -> NIODeadline? {
        guard let nextDial, theirs.contains(where: { $0.state == .dialling }) else { return nil }
        let hasDirect = theirs.contains { $0.state == .dialling && $0.candidate.kind != .proxy }
        return candidate.kind == .proxy && hasDirect ? nextDial + limits.proxyPause : nextDial
    }

    /// What to do with a connection that was made.
    enum OnDialled: Equatable {
        /// Keep it, and tell the peer that this candidate is used.
        case tell(SOCKS5Candidate)
        /// Close it: another one was faster.
        case close
    }

    /// The connection to a candidate of the peer is made.
    mutating func dialled(cid: String) -> OnDialled {
        guard ourVerdict == nil, phase == .dialling,
            let index = theirs.firstIndex(where: { $0.candidate.cid == cid && $0.state == .dialling })
        else { return .close }
        theirs[index].state = .connected
        ourVerdict = .used(theirs[index].candidate)
        giveUp(because: "another candidate was reached first") { _ in true }
        conclude()
        return .tell(theirs[index].candidate)
    }

    /// A candidate of the peer cannot be reached, for that reason.
    mutating func dialFailed(cid: String, _ reason: String) {
        guard let index = theirs.firstIndex(where: { $0.candidate.cid == cid && $0.state == .dialling }) else { return }
        theirs[index].state = .over(reason)
    }

    /// Ends attempts that have no result yet.
    private mutating func giveUp(because reason: String, where isMeant: (SOCKS5Candidate) -> Bool) {
        for index in theirs.indices where isMeant(theirs[index].candidate) {
            switch theirs[index].state {
            case .waiting: theirs[index].state = .over("not tried: \(reason)")
            case .dialling:
                abandoned.append(theirs[index].candidate.cid)
                theirs[index].state = .over("given up: \(reason)")
            case .connected, .over: break
            }
        }
    }

    // MARK: The peer

    /// How to answer what the peer says.
    enum OnPeer: Equatable {
        /// With a plain result.
        case fine
        /// With an error; nothing changes.
        case outOfOrder
        /// With an error: there is no such candidate.
        case unknownCandidate
    }

    /// The peer has connected to that candidate of ours.
    mutating func peerUsed(cid: String) -> OnPeer {
        guard theirVerdict == nil, phase == .dialling else { return .outOfOrder }
        guard let candidate = ours.first(where: { $0.cid == cid }) else { return .unknownCandidate }
        theirVerdict = .used(candidate)
        // Only what would win is still worth a dial (XEP-0260 §2.3): of two equals the initiator's wins.
        let isTieOurs = isInitiator
        giveUp(because: "the peer reached a better one") {
            $0.priority < candidate.priority || ($0.priority == candidate.priority && !isTieOurs)
        }
        conclude()
        return .fine
    }

    /// The peer has connected to none of ours.
    mutating func peerFailed() -> OnPeer {
        guard theirVerdict == nil, phase == .dialling else { return .outOfOrder }
        theirVerdict = Verdict.nothing
        conclude()
        return .fine
    }

    /// The peer has activated its proxy.
    mutating func peerActivated(cid: String) -> OnPeer {
        switch phase {
        case .dialling where activated == nil && isProxyOfTheirs(cid): activated = cid
        case .expectingActivation(let candidate, _) where candidate.cid == cid: settle(candidate, isOurs: false)
        case .expectingActivation: return .unknownCandidate
        default: return .outOfOrder
        }
        return .fine
    }

    /// The peer does not get through to its proxy.
    mutating func peerProxyFailed() -> OnPeer {
        guard case .expectingActivation(let candidate, _) = phase else { return .outOfOrder }
        mark(candidate.cid, "the peer does not get through to its proxy")
        fail()
        return .fine
    }

    private func isProxyOfTheirs(_ cid: String) -> Bool { theirs.contains { $0.candidate.cid == cid && $0.candidate.kind == .proxy } }

    /// The peer's connection to a candidate of ours has arrived.
    mutating func connectionArrived(cid: String) {
        guard arrived.count < ours.count else { return }
        arrived.insert(cid)
        if case .expectingConnection(let candidate, _) = phase, candidate.cid == cid { settle(candidate, isOurs: true) }
    }

    // MARK: Our proxy

    /// Our own proxy is joined and activated. True when the peer is to be told.
    mutating func joined() -> Bool {
        guard case .joining(let candidate) = phase else { return false }
        settle(candidate, isOurs: true)
        return true
    }

    /// We do not get through to our own proxy. True when the peer is to be told.
    mutating func joinFailed(_ reason: String) -> Bool {
        guard case .joining(let candidate) = phase else { return false }
        reasons[candidate.cid] = reason
        fail()
        return true
    }

    // MARK: The conclusion

    /// What both sides have come to.
    enum OnNomination: Equatable {
        /// The connection that we dialled carries the bytes.
        case useDialled(SOCKS5Candidate)
        /// The peer's connection to that candidate of ours does.
        case useArrived(SOCKS5Candidate)
        /// Connect to our own proxy and activate it; ``joined()`` or ``joinFailed(_:)`` follows.
        case join(SOCKS5Candidate)
        /// The connection to our own proxy carries the bytes.
        case useJoined(SOCKS5Candidate)
        case fail
    }

    /// The next conclusion to follow; each is said once.
    mutating func takeNomination() -> OnNomination? {
        guard !isNominationTaken else { return nil }
        switch phase {
        case .offered, .dialling, .expectingConnection, .expectingActivation: return nil
        case .joining(let candidate):
            isNominationTaken = true
            return .join(candidate)
        case .settled(let candidate, let isOurs):
            isNominationTaken = true
            if !isOurs { return .useDialled(candidate) }
            return candidate.kind == .proxy ? .useJoined(candidate) : .useArrived(candidate)
        case .failed:
            isNominationTaken = true
            return .fail
        }
    }

    /// The dials that are of no use any more, by id; each is said once.
    mutating func takeAbandoned() -> [String] {
        defer { abandoned = [] }
        return abandoned
    }

    /// Once both sides have spoken (XEP-0260 §2.4).
    private mutating func conclude() {
        guard let ourVerdict, let theirVerdict else { return }
        switch (ourVerdict, theirVerdict) {
        case (.nothing, .nothing): fail()
        case (.used(let candidate), .nothing): useTheirs(candidate)
        case (.nothing, .used(let candidate)): useOurs(candidate)
        case (.used(let theirs), .used(let ours)):
            if theirs.priority > ours.priority || (theirs.priority == ours.priority && isInitiator) {
                useTheirs(theirs)
            } else {
                mark(theirs.cid, "the peer reached a better one")
                abandoned.append(theirs.cid)
                useOurs(ours)
            }
        }
    }

    private mutating func useTheirs(_ candidate: SOCKS5Candidate) {
        guard candidate.kind == .proxy, activated != candidate.cid else { return settle(candidate, isOurs: false) }
        phase = .expectingActivation(candidate, until: nil)
    }

    private mutating func useOurs(_ candidate: SOCKS5Candidate) {
        if candidate.kind == .proxy {
            phase = .joining(candidate)
        } else if arrived.contains(candidate.cid) {
            settle(candidate, isOurs: true)
        } else {
            phase = .expectingConnection(candidate, until: nil)
        }
    }

    private mutating func settle(_ candidate: SOCKS5Candidate, isOurs: Bool) {
        phase = .settled(candidate, isOurs: isOurs)
        isNominationTaken = false
    }

    private mutating func fail() {
        phase = .failed
        isNominationTaken = false
        for attempt in theirs where attempt.state == .connected { abandoned.append(attempt.candidate.cid) }
    }

    // MARK: Reporting

    /// What became of candidates beside their attempts, by id: ours, and those whose connection was not used.
    private var reasons: [String: String] = [:]

    private mutating func mark(_ cid: String, _ reason: String) {
        if let index = theirs.firstIndex(where: { $0.candidate.cid == cid }) { theirs[index].state = .over(reason) }
    }

    /// All candidates with what became of them.
    var candidates: [BytestreamReport.Candidate] {
        let ofOurs = ours.map { $0.reported(isOurs: true, reason: reason(ofOurs: $0)) }
        let ofTheirs = theirs.map { $0.candidate.reported(isOurs: false, reason: reason(of: $0)) }
        return (ofOurs + ofTheirs).sorted { $0.priority > $1.priority }
    }

    private func reason(ofOurs candidate: SOCKS5Candidate) -> String? {
        if phase == .settled(candidate, isOurs: true) { return nil }
        if let reason = reasons[candidate.cid] { return reason }
        switch (phase, theirVerdict) {
        case (.expectingConnection(candidate, _), _), (.failed, .used(candidate)): return "the peer's connection did not arrive"
        case (_, .used(candidate)): return "the other side's choice was better"
        case (_, .used): return "the peer reached another one"
        case (_, Verdict.nothing?): return "the peer cannot reach it"
        case (_, nil): return "the peer has not said whether it can reach it"
        }
    }

    private func reason(of attempt: Attempt) -> String? {
        if phase == .settled(attempt.candidate, isOurs: false) { return nil }
        switch attempt.state {
        case .waiting: return "not tried"
        case .dialling: return "no connection yet"
        case .connected:
            return attempt.candidate.kind == .proxy ? "the peer has not activated it" : "reached, but the other side's choice is not known"
        case .over(let reason): return reason
        }
    }
}
