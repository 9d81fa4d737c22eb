import QiMessaging

/// The part of the control interface about the policy.
final class PolicyControl: Sendable {
    private let policies: PolicyStore

    init(_ policies: PolicyStore) { self.policies = policies }

    var path: String? { policies.path }
    var rules: [PermissionRule] { policies.control.policy.rules }
    var listing: PolicyListing { PolicyText.listing(of: policies.control.policy, path: policies.path) }

    func answer(who: String, target: String, action: String, zone: String?) throws -> PolicyAnswer {
        let question = try PolicyQuestion(who: who, target: target, action: action, zone: zone ?? "")
        return PolicyText.answer(question.answer(by: policies.control.policy))
    }

    func reload() throws -> ReloadedPolicy {
        let file = try policies.reload(by: "\(Principal(CallContext.current?.origin ?? .process, zone: .internal))")
        return ReloadedPolicy(path: file.path, rules: file.policy.rules.count, groups: file.groupCount)
    }
}
