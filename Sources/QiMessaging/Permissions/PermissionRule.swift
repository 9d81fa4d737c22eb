/// One rule of a policy: whom it names, what it lists, and how long it holds.
public struct PermissionRule: Hashable, Sendable {
    public var who: [Subject]
    /// Nothing of what these list may be done, registered or seen; read before all others.
    public var deny: [TargetPattern] = []
    /// All of this may be called, subscribed to, read, written and emitted; hosting a service needs ``register``.
    public var allow: [TargetPattern] = []
    /// Lists for one kind of access each.
    public var only: [Access: [TargetPattern]] = [:]
    public var limits: PrincipalLimits?
    /// From then on the rule is as if it were not there; seconds since 1970, UTC.
    public var expires: Int64?
    /// Of those it names each may have one connection at a time.
    public var isExclusive = false
    /// The line of its file.
    public var line: Int?

    public init(who: [Subject], line: Int? = nil) {
        self.who = who
        self.line = line
    }

    /// The names of services that may be hosted.
    public var register: [TargetPattern] {
        get { only[.register] ?? [] }
        set { only[.register] = newValue.isEmpty ? nil : newValue }
    }

    func names(_ principal: Principal, at now: Int64) -> Bool {
        if let expires, expires <= now { return false }
        return who.contains { $0.names(principal) }
    }

    /// Whom it names, as written.
    var whoText: String { who.map(\.description).joined(separator: ", ") }
}
