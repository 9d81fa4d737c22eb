import XMPP

/// Which connections of devices are asked whether they are alive, and when, as a value.
///
/// ```
///   present, gone, heard ──▶ Liveness of each ──▶ state(of:)
///   look, watched ──▶ wanted, in order ──▶ turn: at most 8 every 125 ms ──▶ probes to send
///                                     answered, unreachable, failed ◀── what became of them
///                                     late ──▶ our own server is asked ──▶ checked: stale if it answers
/// ```
/// Nothing is asked unless somebody looks: ``look(at:now:)`` once, `watched` in every turn. A connection that was heard within
/// ``Liveness/freshness`` is not asked, and of each at most one question is open, however many look. Time comes in with the events.
struct DeviceProbesStateMachine: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// A question to send.
    struct Probe: Hashable, Sendable {
        let connection: JID
        let number: UInt64
    }

    /// What a turn asks for.
    struct OnTurn: Equatable {
        var probes: [Probe] = []
        /// Our own server is to be asked: a question is late.
        var checks = false
        /// Something that was wanted is not asked after all.
        var isSettled = false
        /// When the next turn is due; nil for not before something happens.
        var next: Instant?
    }

    private var connections: [JID: Liveness] = [:]
    /// Those with a question that was not judged yet.
    private var open: [JID: UInt64] = [:]
    /// Those whose question is late, not judged, and no check is for.
    private var late: Set<JID> = []
    /// Those that the check under way is for; nil while none is.
    private var checking: Set<JID>?
    /// Those to ask, in order.
    private var wanted: [JID] = []
    private var isWanted: Set<JID> = []
    private var nextNumber: UInt64 = 1
    private var nextBatch: Instant?

    /// How many are asked at once, and how long after them the next: 64 a second, about 8 kB.
    static let batch = 8
    static let batchPause: Duration = .milliseconds(125)

    // MARK: - What is known

    /// What is known of a connection; nil for one that is not there.
    func liveness(of connection: JID) -> Liveness? { connections[connection] }

    /// Whether nothing is to be expected any more of what was asked of these.
    func isSettled(_ connections: some Sequence<JID>) -> Bool { !connections.contains { open[$0] != nil || isWanted.contains($0) } }

    /// Those of them whose question will be judged by then.
    func due(_ connections: [JID], by end: Instant) -> [JID] {
        connections.filter { jid in open[jid] != nil && self.connections[jid]?.due.map { $0 <= end } == true }
    }

    // MARK: - Presence, and whatever else comes

    /// The server says that a connection is there.
    ///
    /// - Parameter isLive: whether the device has just said so itself; false for what the server repeats at our login.
    mutating func present(_ connection: JID, isLive: Bool, at now: Instant) {
        if connections[connection] == nil { connections[connection] = Liveness(heard: isLive ? now : nil) }
    }

    /// The server says that a connection is there no more.
    mutating func gone(_ connection: JID) {
        connections[connection] = nil
        open[connection] = nil
        late.remove(connection)
        isWanted.remove(connection)
    }

    /// Something came from a connection. Returns whether it is stale no more, as the other events do.
    mutating func heard(_ connection: JID, at now: Instant) -> Bool { connections[connection]?.heard(at: now) ?? false }

    /// Something came from a connection then, by another way than XMPP.
    mutating func wasHeard(_ connection: JID, at then: Instant) -> Bool { connections[connection]?.wasHeard(at: then) ?? false }

    // MARK: - Asking

    /// These are looked at now. Returns those of which an answer can be waited for.
    mutating func look(at seen: [JID], now: Instant) -> [JID] {
        for connection in seen { want(connection, now) }
        return seen.filter { !isSettled([$0]) }
    }

    private mutating func want(_ connection: JID, _ now: Instant) {
        guard connections[connection]?.mayBeAsked(at: now) == true, isWanted.insert(connection).inserted else { return }
        wanted.append(connection)
    }

    /// Whether a turn would ask anything now: what else is known of the devices' lives is worth looking at before.
    func wouldAsk(watched: [JID], now: Instant) -> Bool {
        guard nextBatch.map({ $0 <= now }) ?? true else { return false }
        return (wanted + watched).contains { connections[$0]?.mayBeAsked(at: now) == true }
    }

    /// The time is now.
    ///
    /// - Parameter watched: those that are looked at all the time.
    mutating func turn(watched: [JID], now: Instant) -> OnTurn {
        var turn = OnTurn()
        for connection in open.keys where connections[connection]?.due.map({ $0 <= now }) == true {
            connections[connection]?.late()
            late.insert(connection)
        }
        if checking == nil, !late.isEmpty {
            (checking, late) = (late, [])
            turn.checks = true
        }
        for connection in watched { want(connection, now) }
        if nextBatch.map({ $0 <= now }) ?? true { send(now, in: &turn) }
        turn.next = next(watched)
        return turn
    }

    private mutating func send(_ now: Instant, in turn: inout OnTurn) {
        var taken = 0
        while taken < wanted.count, turn.probes.count < Self.batch {
            let connection = wanted[taken]
            taken += 1
            // It may have gone, or been heard, meanwhile.
            guard isWanted.remove(connection) != nil, connections[connection]?.mayBeAsked(at: now) == true else {
                turn.isSettled = true
                continue
            }
            connections[connection]?.asked(nextNumber, at: now)
            open[connection] = nextNumber
            turn.probes.append(Probe(connection: connection, number: nextNumber))
            nextNumber += 1
        }
        wanted.removeFirst(taken)
        if !turn.probes.isEmpty { nextBatch = now + Self.batchPause }
    }

    private func next(_ watched: [JID]) -> Instant? {
        var next = wanted.isEmpty ? nil : nextBatch
        func consider(_ instant: Instant?) { if let instant { next = next.map { min($0, instant) } ?? instant } }
        // What has become late during a check is looked at when that ends.
        for connection in open.keys { consider(connections[connection]?.due) }
        for connection in watched where !isWanted.contains(connection) && open[connection] == nil {
            consider(connections[connection]?.mayBeAskedFrom)
        }
        return next
    }

    // MARK: - What became of it

    /// Our own server was asked because questions were late.
    ///
    /// - Parameter isAnswered: whether it answered; else the fault may be ours, and nothing is known of any device.
    mutating func checked(isAnswered: Bool) -> Bool {
        var isNews = false
        for connection in checking ?? [] {
            // It may have answered, or gone, or be asked anew, meanwhile.
            guard connections[connection]?.isLate == true else { continue }
            open[connection] = nil
            if connections[connection]?.judged(isOurPathUp: isAnswered) == true { isNews = true }
        }
        checking = nil
        return isNews
    }

    /// A connection answered.
    mutating func answered(_ connection: JID, in roundTrip: Duration, at now: Instant) -> Bool {
        open[connection] = nil
        return connections[connection]?.answered(in: roundTrip, at: now) ?? false
    }

    /// The server answered in a connection's place.
    mutating func unreachable(_ probe: Probe) -> Bool {
        if open[probe.connection] == probe.number { open[probe.connection] = nil }
        return connections[probe.connection]?.unreachable(probe.number) ?? false
    }

    /// A question ended and says nothing of the connection.
    mutating func failed(_ probe: Probe) {
        if open[probe.connection] == probe.number { open[probe.connection] = nil }
        connections[probe.connection]?.failed(probe.number)
    }

    /// A connection did not answer what was asked of it otherwise.
    mutating func unanswered(_ connection: JID, since at: Instant) -> Bool { connections[connection]?.unanswered(since: at) ?? false }
}
