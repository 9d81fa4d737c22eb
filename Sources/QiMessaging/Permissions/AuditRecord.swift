/// One thing that happened at the doors.
public struct AuditRecord: Hashable, Sendable {
    /// `denied`, `call`, `limited`, `register` and `refused` of a service from outside, or a change: `policy-reload`, `pair`, `revoke`, `app-install` …
    public var event: String
    /// Who asked for it, or was changed.
    public var principal: String
    public var zone: Zone
    /// `Service.member`, a service, or the thing that was changed.
    public var target: String
    /// The kind of access, or what was done.
    public var access: String
    public var isAllowed: Bool
    /// The rule that decided, counted from 1.
    public var rule: Int?
    /// How the asker came: `unix, user 1000`, `tls 10.0.0.7`, `device op@lab.example`.
    public var path: String
    /// More, in words; never a secret.
    public var detail: String?
    /// Where the asker came from, when it has not proven to be `principal`; nil when it has. Such records are counted by this and not by
    /// the name, which the asker invents.
    public var place: String?

    public init(
        event: String, principal: String, zone: Zone, target: String, access: String, isAllowed: Bool, rule: Int? = nil, path: String,
        detail: String? = nil, place: String? = nil
    ) {
        self.event = event
        self.principal = principal
        self.zone = zone
        self.target = target
        self.access = access
        self.isAllowed = isAllowed
        self.rule = rule
        self.path = path
        self.detail = detail
        self.place = place
    }
}

/// Where audit records go.
public protocol AuditSink: Sendable {
    /// Takes a record, and returns at once: on event loops nobody may wait for a disk. What cannot be kept is counted, not waited for.
    func record(_ record: AuditRecord)
}
