import NIOCore
import QiWire

/// What a policy says to everything that one connection's peer asks for. Connections that may do everything have none. Confined to the
/// bus loop.
final class ConnectionAccess: CallFilter {
    private struct Key: Hashable {
        let object: ObjectAddress
        let member: UInt32
        let access: Access
    }

    private struct Known {
        let decision: Decision
        let account: PrincipalAccount?
    }

    let control: AccessControl
    let principal: Principal
    /// How the peer came, for the audit.
    private(set) var path: String
    /// Where it came from, unless it has proven who it is.
    private let place: String?
    private var kind: PathKind
    /// Reads nothing more of the peer for a while; set by the connection.
    var keepWaiting: ((TimeAmount) -> Void)?
    private(set) var policy: PermissionPolicy
    private var revision: UInt64
    private var expiry: Int64?
    private var decisions: [Key: Known] = [:]
    private var visibleObjects: [ObjectAddress: Bool] = [:]
    private var claim: UInt64?
    /// What is counted of requests that no rule decides.
    private var generalAccount: PrincipalAccount?

    /// More decisions than this are not remembered: the peer chooses what it asks for.
    private static let maximumDecisions = 16_384

    init(_ control: AccessControl, _ principal: Principal, _ origin: ConnectionOrigin) {
        self.control = control
        self.principal = principal
        path = "\(origin)"
        if case .host(let host) = principal.identity { place = IPAddress.place(of: host) } else { place = nil }
        kind = origin.path
        revision = control.revision
        policy = control.policy
        expiry = policy.nextExpiry(after: WallClock.seconds)
        generalAccount = control.account(principal, policy.implied(principal, "", WallClock.seconds))
    }

    // MARK: - The connection

    func moved(to origin: ConnectionOrigin) {
        path = "\(origin)"
        kind = origin.path
    }

    /// Takes the only connection of a principal that may have one.
    ///
    /// - Throws: `.denied` when it has one already.
    func begin() throws(QiError) {
        guard policy.isExclusive(principal) else { return }
        claim = control.claim(principal)
        guard claim == nil else { return }
        note("denied", "", "connect", false, nil, detail: "it is connected already, and its rule is exclusive")
        throw QiError(.denied, "denied: \(principal) is connected already, and may be only once", hint: "end the other session first")
    }

    /// The policy may have made the principal exclusive, or not any more: the first of its connections counts, and whoever is
    /// connected beside it stays.
    func follow() {
        if policy.isExclusive(principal) {
            claim = claim ?? control.claim(principal)
        } else {
            end()
        }
    }

    /// The connection is gone.
    func end() {
        if let claim { control.release(principal, claim) }
        claim = nil
    }

    /// Follows the policy in force; answers whether it is another than before.
    @discardableResult
    func refresh() -> Bool {
        let current = control.revision
        if current == revision, expiry.map({ WallClock.seconds < $0 }) ?? true { return false }
        revision = current
        policy = control.policy
        expiry = policy.nextExpiry(after: WallClock.seconds)
        decisions.removeAll(keepingCapacity: true)
        visibleObjects.removeAll(keepingCapacity: true)
        generalAccount = control.account(principal, policy.implied(principal, "", WallClock.seconds))
        return true
    }

    // MARK: - Judging

    func judge(_ call: IncomingCall, _ receiver: any ObjectReceiver, service: @autoclosure () -> String?) -> CallVerdict {
        refresh()
        let target = call.address.target
        // We passed it to a service that the peer hosts: it was given the object to use it.
        if target.isPassed { return .pass }
        // It waits for what it stands for, and hands the call on then.
        guard let members = receiver.memberTable else { return .pass }
        // Before any argument of theirs is read: the generic members are those whose arguments decide what is asked for.
        if call.address.action < WellKnownActions.firstUserAction, !isVisible(target, members, service()) {
            return conceal(call, members, service())
        }
        let request: AccessRequest
        do {
            request = try AccessRequest(call, members)
        } catch {
            countRefusal()
            return .refused(error.message)
        }
        switch request {
        case .release: return .pass
        case .description: return admit(call, .call, generalAccount, nil, service(), "metaObject")
        case .nothing:
            guard isVisible(target, members, service()) else { return conceal(call, members, service()) }
            noteMissing("\(service() ?? "").\(AccessRequest.name(of: call, members))")
            return admit(call, .call, generalAccount, nil, service(), "metaObject")
        case .member(let access, let uid, let name):
            let key = Key(object: target, member: uid, access: access)
            guard let known = decisions[key] ?? decide(key, name, service()) else { return conceal(call, members, nil) }
            guard known.decision.isAllowed else {
                guard isVisible(target, members, service()) else { return conceal(call, members, service()) }
                return refuse(access, service() ?? "", name, known.decision)
            }
            let isNew = access != .subscribe || !isHeld(call, receiver, uid)
            let verdict = admit(call, access, known.account, known.decision.limitedBy, service(), name, isNew: isNew)
            if policy.auditsAllCalls, case .pass = verdict {
                note("call", "\(service() ?? "").\(name)", access.rawValue, true, known.decision.rule)
            }
            return verdict
        }
    }

    private func decide(_ key: Key, _ name: String, _ service: String?) -> Known? {
        guard let service else { return nil }
        let decision = policy.decide(principal, key.access, service: service, member: name)
        let known = Known(decision: decision, account: decision.isAllowed ? control.account(principal, decision) : nil)
        // Names that no member has are not told apart by their uid.
        guard key.member != .max else { return known }
        if decisions.count >= Self.maximumDecisions { decisions.removeAll(keepingCapacity: true) }
        decisions[key] = known
        return known
    }

    private func refuse(_ access: Access, _ service: String, _ name: String, _ decision: Decision) -> CallVerdict {
        noteDenied("\(service).\(name)", access, decision.rule)
        return .refused(decision.refusal(of: principal, access, service: service, member: name))
    }

    /// Answers for a service of which the peer may use nothing: it is not there. The directory is there for everybody, and says so
    /// instead.
    private func conceal(_ call: IncomingCall, _ members: MemberTable, _ service: String?) -> CallVerdict {
        let name = AccessRequest.name(of: call, members)
        guard service == "ServiceDirectory" else {
            noteHidden(service.map { "\($0).\(name)" } ?? "\(call.address)", Access.call.rawValue)
            return .hidden
        }
        let decision = policy.decide(principal, .call, service: "ServiceDirectory", member: name)
        noteDenied("ServiceDirectory.\(name)", .call, decision.rule)
        return .refused(policy.refusalOfEverything(to: principal))
    }

    private func isVisible(_ target: ObjectAddress, _ members: MemberTable, _ service: String?) -> Bool {
        // Whoever has an object that came as a value was given it.
        if target.object != 1 { return service != nil }
        if let known = visibleObjects[target] { return known }
        guard let service else { return false }
        let isVisible = policy.maySee(principal, service, members: MemberNames(members.metaObject))
        if visibleObjects.count >= Self.maximumDecisions { visibleObjects.removeAll(keepingCapacity: true) }
        visibleObjects[target] = isVisible
        return isVisible
    }

    /// Whether a call of `registerEvent` renews a subscription, which is counted already.
    private func isHeld(_ call: IncomingCall, _ receiver: any ObjectReceiver, _ signal: UInt32) -> Bool {
        // It was read before, with the signal.
        guard call.connection.shared.eventGaps, let link = try? AccessRequest.link(of: call) else { return false }
        return receiver.isSubscribed(link, to: signal, at: call.address.target, on: call.connection)
    }

    /// Counts a call that is allowed, where that is limited.
    private func admit(
        _ call: IncomingCall, _ access: Access, _ account: PrincipalAccount?, _ rule: Int?, _ service: @autoclosure () -> String?,
        _ name: String, isNew: Bool = true
    ) -> CallVerdict {
        guard let account else { return .pass }
        let isSubscription = access == .subscribe && isNew
        if let reason = account.admit(call.payload.readableBytes, by: kind, isSubscription: isSubscription) {
            note("limited", "\(service() ?? "").\(name)", access.rawValue, false, rule, detail: reason)
            countRefusal()
            return .refused("limit: \(principal): \(reason)" + (rule.map { " (rule \($0))" } ?? ""))
        }
        call.ticket = CallTicket(account, by: kind)
        if isSubscription { call.subscription = SubscriptionTicket(account, by: kind) }
        return .pass
    }

    // MARK: - Seeing

    /// Whether the peer may know of a service; see ``PermissionPolicy/maySee(_:_:members:at:)``.
    func maySee(_ service: String, _ metaObject: MetaObject? = nil) -> Bool {
        refresh()
        return policy.maySee(principal, service, members: metaObject.map(MemberNames.init))
    }

    /// Whether the peer may go on listening to a signal.
    func maySubscribe(to signal: String, of service: String) -> Bool {
        refresh()
        return policy.decide(principal, .subscribe, service: service, member: signal).isAllowed
    }

    /// Whether the peer may go on hosting a service of this name.
    func mayRegister(_ service: String) -> Bool {
        refresh()
        return policy.decide(principal, .register, service: service).isAllowed
    }

    /// Whether the peer may host a service of this name: the rule that says so, if one does.
    ///
    /// - Throws: `.denied` with the rule that says no.
    func checkRegistering(_ service: String) throws(QiError) -> Int? {
        refresh()
        let decision = policy.decide(principal, .register, service: service)
        guard !decision.isAllowed else { return decision.rule }
        noteDenied(service, .register, decision.rule)
        throw QiError(.denied, decision.refusal(of: principal, .register, service: service, member: ""))
    }

    /// The peer was allowed to host a service of this name, and the directory has taken it in, or not.
    func noteRegistering(_ service: String, _ rule: Int?, _ result: Result<UInt32, QiError>) {
        switch result {
        case .success(let id): note("register", service, Access.register.rawValue, true, rule, detail: "#\(id)")
        case .failure(let error): note("refused", service, Access.register.rawValue, false, rule, detail: error.message)
        }
    }

    // MARK: - Audit

    func notFound(_ address: ActionAddress, isPost: Bool) {
        noteHidden("\(address)", (isPost ? Access.emit : .call).rawValue)
    }

    /// Somebody asked for what is not there for him: a name, or an id.
    func noteHidden(_ target: String, _ access: String) {
        note("denied", target, access, false, nil, detail: "hidden from it, or not there")
        countRefusal()
    }

    /// The peer asked for a member that the service does not have.
    private func noteMissing(_ target: String) {
        note("denied", target, Access.call.rawValue, false, nil, detail: "there is no such member")
        countRefusal()
    }

    private func noteDenied(_ target: String, _ access: Access, _ rule: Int?) {
        note("denied", target, access.rawValue, false, rule)
        countRefusal()
    }

    /// Whoever goes on asking for what he may not have is read slowly.
    private func countRefusal() {
        guard let keepWaiting, let wait = control.refused(principal) else { return }
        keepWaiting(wait)
    }

    private func note(
        _ event: String, _ target: String, _ access: String, _ isAllowed: Bool, _ rule: Int?, detail: String? = nil
    ) {
        control.record(
            AuditRecord(
                event: event, principal: "\(principal)", zone: principal.zone, target: target, access: access, isAllowed: isAllowed,
                rule: rule, path: path, detail: detail, place: place))
    }
}
