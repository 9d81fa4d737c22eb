import NIOCore
import QiWire

/// One device that may offer a service of a group. Confined to the bus loop.
final class GroupInstance {
    /// What is known of the service there.
    enum State {
        case unasked
        case asking
        case ready(RemoteObject)
        /// It has another service of that name.
        case differs
        case lacks(QiError)
        case away(QiError)
    }

    let link: any GroupLink
    private(set) var member: DeviceGroup.Member
    private(set) var state = State.unasked
    /// When it is asked again, where it has no service for us.
    private var askAgain = NIODeadline.distantPast
    /// The connection on which it said that it stops: nothing new is sent there.
    private var stoppingOn: ObjectIdentifier?
    var proxies = 0

    /// How long a device that has no such service is left alone, unless it says that it has a new one.
    private static let pause = (lacking: TimeAmount.seconds(5), away: TimeAmount.seconds(2))

    init(_ member: DeviceGroup.Member, link: any GroupLink) {
        self.member = member
        self.link = link
    }

    var address: String { member.address }

    func update(_ member: DeviceGroup.Member) {
        if member.isThere, !self.member.isThere { askAgain = .distantPast }
        self.member = member
    }

    // MARK: - Asking

    /// Whether its device is to be asked for the service now.
    func isDue(at now: NIODeadline) -> Bool {
        switch state {
        case .asking: return false
        case .ready(let object): if !object.isEnded { return false }
        case .unasked, .differs, .lacks, .away: break
        }
        return (member.isThere || link.isLive) && askAgain <= now && stoppingOn == nil
    }

    /// Something has changed there.
    func encourage() {
        askAgain = .distantPast
        if let stoppingOn, link.connection.map(ObjectIdentifier.init) != stoppingOn { self.stoppingOn = nil }
    }

    func asks() { state = .asking }

    func isReady(_ object: RemoteObject) { state = .ready(object) }

    func hasAnother() {
        state = .differs
        askAgain = .now() + Self.pause.lacking
    }

    func failed(_ error: QiError) {
        state = error.isRetryable ? .away(error) : .lacks(error)
        askAgain = .now() + (error.isRetryable ? Self.pause.away : Self.pause.lacking)
    }

    /// Its node refused a call because it stops.
    func stops() { stoppingOn = link.connection.map(ObjectIdentifier.init) }

    // MARK: - Using

    /// The service there, when calls to it are answered as far as is known.
    var usable: RemoteObject? {
        guard case .ready(let object) = state, isUsable(object) else { return nil }
        return object
    }

    func isUsable(_ object: RemoteObject) -> Bool {
        guard let connection = object.connection, !connection.isClosed, !object.isEnded, link.isLive else { return false }
        return stoppingOn != ObjectIdentifier(connection)
    }

    /// Whether its service is there, though perhaps without a path for now.
    var isServing: Bool {
        guard case .ready(let object) = state, !object.isEnded, let connection = object.connection else { return false }
        return !connection.isClosed
    }

    var isStrange: Bool { if case .differs = state { true } else { false } }
    var isAsked: Bool { if case .asking = state { true } else { false } }

    /// What it has, in a word, for people.
    var word: String {
        switch state {
        case .unasked: member.isThere ? "not asked yet" : "offline"
        case .asking: "is asked"
        case .ready: stoppingOn != nil ? "stopping" : usable == nil ? "away" : "ready"
        case .differs: "another interface"
        case .lacks: "no such service"
        case .away: member.isThere ? "not reached" : "offline"
        }
    }

    /// Why it cannot be used.
    var trouble: String? {
        switch state {
        case .lacks(let error), .away(let error): error.message
        case .differs: "it has another service of that name"
        case .unasked where !member.isThere: "it is offline"
        case .unasked, .asking, .ready: nil
        }
    }

    var candidate: InstanceChoice.Candidate {
        InstanceChoice.Candidate(
            address: address, calls: link.connection?.callsInFlight ?? 0, roundTrip: link.roundTrip,
            proxies: proxies)
    }
}
