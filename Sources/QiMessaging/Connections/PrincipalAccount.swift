import NIOCore
import Synchronization

/// What one principal has used of what one rule grants, over all its connections, whatever loop they are on.
final class PrincipalAccount: Sendable {
    private struct State {
        var calls: TokenBucket?
        /// By the names of ways.
        var bytes: [String: TokenBucket]
        var inFlight = 0
        var subscriptions = 0
    }

    let limits: PrincipalLimits
    private let state: Mutex<State>

    init(_ limits: PrincipalLimits, at now: NIODeadline = .now()) {
        self.limits = limits
        state = Mutex(
            State(calls: limits.calls.map { TokenBucket($0, at: now) }, bytes: limits.bytes.mapValues { TokenBucket($0, at: now) }))
    }

    /// Where the bytes that take a way are counted; nil where they are not.
    fileprivate func meter(of path: PathKind) -> String? { limits.bytes[path.name] == nil ? nil : path.name }

    /// What is wrong with one more request; nil when nothing is, and it is counted.
    func admit(_ bytes: Int, by path: PathKind, isSubscription: Bool, at now: NIODeadline = .now()) -> String? {
        if let most = limits.payload, bytes > most { return "the arguments have \(bytes) bytes, and \(most) are allowed" }
        return state.withLock { state in
            if let most = limits.callsInFlight, state.inFlight >= most { return "\(most) calls wait for their answers: wait for one" }
            if isSubscription, let most = limits.subscriptions, state.subscriptions >= most {
                return "\(most) subscriptions are held: end one"
            }
            if let rate = limits.bytes[path.name], let wait = state.bytes[path.name]?.take(bytes, at: now) {
                return "\(rate.text(unit: "bytes")) through \(path.carrier ?? path.name) are allowed: \(QiError.tryAgain(in: wait))"
            }
            if let rate = limits.calls, let wait = state.calls?.take(at: now) {
                return "\(rate.text(unit: "calls")) are allowed: \(QiError.tryAgain(in: wait))"
            }
            state.inFlight += 1
            if isSubscription { state.subscriptions += 1 }
            return nil
        }
    }

    fileprivate func answered(_ bytes: Int, on meter: String?) {
        state.withLock { state in
            state.inFlight -= 1
            if let meter { state.bytes[meter]?.owe(bytes, at: .now()) }
        }
    }

    fileprivate func unsubscribed() { state.withLock { $0.subscriptions -= 1 } }

    fileprivate func mayDeliver(_ bytes: Int, on meter: String) -> Bool {
        state.withLock { state in
            guard state.bytes[meter]?.isOpen(at: .now()) ?? true else { return false }
            state.bytes[meter]?.owe(bytes, at: .now())
            return true
        }
    }

    /// Whether a new account would say the same.
    func isUnused(at now: NIODeadline) -> Bool {
        state.withLock { state in
            state.inFlight == 0 && state.subscriptions == 0 && (state.calls?.isFull(at: now) ?? true)
                && state.bytes.keys.allSatisfy { state.bytes[$0]?.isFull(at: now) ?? true }
        }
    }
}

/// One admitted call, until its answer.
final class CallTicket {
    private let account: PrincipalAccount
    private let meter: String?
    private var bytes = 0

    init(_ account: PrincipalAccount, by path: PathKind) {
        self.account = account
        meter = account.meter(of: path)
    }

    /// The answer has this many bytes.
    func answered(_ bytes: Int) { self.bytes = bytes }

    deinit { account.answered(bytes, on: meter) }
}

/// One admitted subscription, as long as it is held.
final class SubscriptionTicket {
    private let account: PrincipalAccount
    private let meter: String?

    init(_ account: PrincipalAccount, by path: PathKind) {
        self.account = account
        meter = account.meter(of: path)
    }

    /// Bytes of events that may wait for the subscriber.
    var queue: Int? { account.limits.queue }

    /// Whether one more event may go to the subscriber; then it is counted.
    func mayDeliver(_ bytes: Int) -> Bool { meter.map { account.mayDeliver(bytes, on: $0) } ?? true }

    deinit { account.unsubscribed() }
}

extension PrincipalLimits.Rate {
    /// As in "20 calls per second".
    func text(unit: String) -> String {
        switch interval {
        case .seconds(1): "\(count) \(unit) per second"
        case .seconds(60): "\(count) \(unit) per minute"
        case .seconds(3600): "\(count) \(unit) per hour"
        default: "\(count) \(unit) in \(interval)"
        }
    }
}
