public import QiMessaging

/// A question to a policy as people ask it: `op@lab.example`, `ALMotion.moveTo`, `call`.
public struct PolicyQuestion: Hashable, Sendable {
    public let principal: Principal
    public let access: Access
    public let service: String
    /// Empty for `register`.
    public let member: String

    /// Other words for a kind of access: a post is a call, and the verbs of the command line.
    private static let words: [String: Access] = [
        "post": .call, "watch": .subscribe, "get": .read, "set": .write, "raise": .emit, "host": .register, "serve": .register,
    ]

    /// - Parameters:
    ///   - who: one caller: a JID, `app:`, `user:`, `cert:`, `host:` or `zone:`.
    ///   - target: `Service.member`; for `register` the name of a service.
    ///   - zone: where the caller comes in; empty for the usual zone of its kind.
    /// - Throws: `usage` for what cannot be read, with the nearest right word.
    public init(who: String, target: String, action: String, zone: String = "") throws(MeshError) {
        do throws(ConfigurationMistake) {
            principal = try SubjectText.principal(who, zone: zone.isEmpty ? nil : try SubjectText.zone(zone))
        } catch {
            throw MeshError(.usage, error.message, hint: error.suggestion)
        }
        guard let access = Access(rawValue: action) ?? Self.words[action] else {
            let known = Access.allCases.map(\.rawValue)
            throw MeshError(
                .usage, "\"\(action)\" is no action",
                hint: Spelling.nearest(to: action, among: known).map { "did you mean \($0)?" } ?? "known are \(known.joined(separator: ", "))")
        }
        self.access = access
        if access == .register {
            (service, member) = (target, "")
            guard !target.isEmpty else { throw MeshError(.usage, "the name of a service is missing") }
            return
        }
        guard let dot = target.lastIndex(of: "."), dot != target.startIndex, target.index(after: dot) != target.endIndex else {
            throw MeshError(.usage, "\"\(target)\" names no member", hint: "write Service.member")
        }
        service = String(target[..<dot])
        member = String(target[target.index(after: dot)...])
    }

    public func answer(by policy: PermissionPolicy, at time: Int64 = WallClock.seconds) -> Decision {
        policy.decide(principal, access, service: service, member: member, at: time)
    }
}
