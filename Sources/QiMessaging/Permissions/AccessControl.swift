import NIOCore
import Synchronization

/// The policy in force, for all doors of a node: what connections ask, and what a reload changes for all of them at once.
public final class AccessControl: Sendable {
    private struct AccountKey: Hashable {
        let identity: Principal.Identity
        let rule: Int
        let limits: PrincipalLimits
    }

    private struct State {
        var policy: PermissionPolicy
        var observers: [UInt64: @Sendable () -> Void] = [:]
        var nextToken: UInt64 = 1
        var accounts: [AccountKey: PrincipalAccount] = [:]
        /// Who has its only connection.
        var claims: [Principal.Identity: UInt64] = [:]
        /// What is kept of the arguments of those who are connected.
        var arguments: [Principal.Identity: WeakMeter] = [:]
        /// Of those who were refused something lately.
        var refusals: [Principal.Identity: TokenBucket] = [:]
    }

    private struct WeakMeter {
        weak var meter: ArgumentMeter?
    }

    private let allArguments = ArgumentMeter(most: ArgumentMeter.mostOfAll, of: nil)
    private let state: Mutex<State>
    private let counter = Atomic<UInt64>(1)
    private let audit: (any AuditSink)?

    /// Accounts of principals are forgotten when they say no more than new ones would; beyond this many, one that does goes too.
    private static let maximumAccounts = 4096

    public init(_ policy: PermissionPolicy, audit: (any AuditSink)? = nil) {
        state = Mutex(State(policy: policy))
        self.audit = audit
    }

    public var policy: PermissionPolicy { state.withLock { $0.policy } }

    /// Counts the policies there have been: what was decided under another number is void.
    public var revision: UInt64 { counter.load(ordering: .acquiring) }

    /// Puts another policy in force. Connections stay; what they hold and may not hold any more ends within a second.
    public func replace(_ policy: PermissionPolicy) {
        let observers = state.withLock { state in
            state.policy = policy
            counter.add(1, ordering: .releasing)
            return state.observers.values
        }
        for observer in observers { observer() }
    }

    /// Calls `changed` after every ``replace(_:)``, on the thread that replaced.
    public func observe(_ changed: @escaping @Sendable () -> Void) -> UInt64 {
        state.withLock { state in
            defer { state.nextToken += 1 }
            state.observers[state.nextToken] = changed
            return state.nextToken
        }
    }

    public func stopObserving(_ token: UInt64) { state.withLock { $0.observers[token] = nil } }

    /// Writes down what happened; never waits.
    public func record(_ record: AuditRecord) { audit?.record(record) }

    // MARK: - Limits

    /// The account of a principal under the rule that made `decision`; nil when that grants without limits.
    func account(_ principal: Principal, _ decision: Decision) -> PrincipalAccount? {
        guard let limits = decision.limits, !limits.isEmpty else { return nil }
        let key = AccountKey(identity: principal.identity, rule: decision.limitedBy ?? 0, limits: limits)
        return state.withLock { state in
            if let known = state.accounts[key] { return known }
            if state.accounts.count >= Self.maximumAccounts {
                let now = NIODeadline.now()
                state.accounts = state.accounts.filter { !$0.value.isUnused(at: now) }
                if state.accounts.count >= Self.maximumAccounts, let any = state.accounts.keys.first { state.accounts[any] = nil }
            }
            let account = PrincipalAccount(limits)
            state.accounts[key] = account
            return account
        }
    }

    /// What is kept of a principal's arguments, over all its connections.
    func arguments(of principal: Principal) -> ArgumentMeter {
        state.withLock { state in
            if let known = state.arguments[principal.identity]?.meter { return known }
            // Those who have gone are forgotten now and then.
            if state.arguments.count.nonzeroBitCount == 1 { state.arguments = state.arguments.filter { $0.value.meter != nil } }
            let meter = ArgumentMeter(of: allArguments)
            state.arguments[principal.identity] = WeakMeter(meter: meter)
            return meter
        }
    }

    /// So much may be refused to a principal, over all its connections; beyond, it is kept waiting before its next request is read.
    static let refusals = PrincipalLimits.Rate(100, per: .seconds(5))

    /// Counts a refusal; answers how long the principal has to wait, nil while it need not.
    func refused(_ principal: Principal, at now: NIODeadline = .now()) -> TimeAmount? {
        state.withLock { state in
            if state.refusals[principal.identity] == nil, state.refusals.count >= Self.maximumAccounts {
                state.refusals = state.refusals.filter { entry in
                    var bucket = entry.value
                    return !bucket.isFull(at: now)
                }
                if state.refusals.count >= Self.maximumAccounts, let any = state.refusals.keys.first { state.refusals[any] = nil }
            }
            return state.refusals[principal.identity, default: TokenBucket(Self.refusals, at: now)].overdraw(at: now)
        }
    }

    /// Takes the only connection that a principal of an exclusive rule may have; false when it has one.
    func claim(_ principal: Principal) -> UInt64? {
        state.withLock { state in
            guard state.claims[principal.identity] == nil else { return nil }
            defer { state.nextToken += 1 }
            state.claims[principal.identity] = state.nextToken
            return state.nextToken
        }
    }

    func release(_ principal: Principal, _ token: UInt64) {
        state.withLock { state in
            if state.claims[principal.identity] == token { state.claims[principal.identity] = nil }
        }
    }
}
