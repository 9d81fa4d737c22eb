import NIOCore

/// Notices a dead stream (reference `xmpp.md` §2.2): an idle one is asked once a minute, one on which something is waiting
/// after ten seconds of silence, and silence for fifteen seconds after a question means that it is dead. A value.
struct KeepAlive {
    enum OnTick: Equatable { case nothing, ping, dead }

    static let idleInterval: TimeAmount = .seconds(60)
    static let waitingInterval: TimeAmount = .seconds(10)
    static let patience: TimeAmount = .seconds(15)

    private var lastHeard: NIODeadline
    private var lastSent: NIODeadline
    private var asked: NIODeadline?
    /// How long we may be silent ourselves.
    private let longestSilence: TimeAmount

    /// - Parameter idleSeconds: after so many without anything from us the server may end the stream (XEP-0478 §3.1); nil when it does not
    ///   say. We speak after two thirds of that, and no more than every five seconds.
    init(now: NIODeadline, idleSeconds: Int? = nil) {
        lastHeard = now
        lastSent = now
        longestSilence = idleSeconds.map { .seconds(Int64(max(5, min($0, 86_400) * 2 / 3))) } ?? .hours(24 * 365)
    }

    /// Anything was sent.
    mutating func sent(now: NIODeadline) { lastSent = now }

    /// Anything arrived.
    mutating func heard(now: NIODeadline) {
        lastHeard = now
        asked = nil
    }

    /// Time went by. `isWaiting`: an answer of somebody is due.
    mutating func ticked(now: NIODeadline, isWaiting: Bool) -> OnTick {
        if let asked { return now - asked >= KeepAlive.patience ? .dead : .nothing }
        let interval = isWaiting ? KeepAlive.waitingInterval : KeepAlive.idleInterval
        guard now - lastHeard >= interval || now - lastSent >= longestSilence else { return .nothing }
        asked = now
        return .ping
    }
}
