/// Who may come in at a listener, and who they are then.
public struct ListenerRules: Sendable {
    /// What clients have to prove.
    public struct Authentication: Sendable {
        /// Asked in this order.
        public var stores: [any CredentialStore]
        /// Whether somebody may come in who presents no credentials. A certificate of `tcpsm` counts as some.
        public var admitsAnonymous: Bool

        public init(stores: [any CredentialStore] = [], admitsAnonymous: Bool = false) {
            self.stores = stores
            self.admitsAnonymous = admitsAnonymous
        }
    }

    /// The zone of all who come in; nil: ``Zone/lan`` for addresses of local networks (``IPAddress/isLocal``), else ``Zone/internet``.
    public var zone: Zone?
    /// Which addresses to let in at all; nil: all. This machine's own always may.
    public var networks: [IPNetwork]?
    /// Which users of this machine to let in by TCP; nil: all. Other machines are not concerned.
    public var users: LocalUsers?
    /// nil: nobody is asked, as libqi's directories do not.
    public var authentication: Authentication?
    public var limits = ListenerLimits()
    /// Told of everybody who was not let in.
    public var audit: (any AuditSink)?

    public init(zone: Zone? = nil) { self.zone = zone }

    /// The zone of a peer at `host`.
    func zone(of host: String?) -> Zone {
        if let zone { return zone }
        return host.flatMap { IPAddress($0) }?.isLocal == true ? .lan : .internet
    }
}

/// What the doors record goes where the policy's records go.
extension AccessControl: AuditSink {}
