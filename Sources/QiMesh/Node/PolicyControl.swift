import QiMessaging
import QiWire

/// What the command line asks the node about its policy.
final class PolicyControl: ControlMembers {
    private let policies: PolicyStore

    init(_ policies: PolicyStore) { self.policies = policies }

    func add(to builder: inout ObjectBuilder) {
        builder.advertiseControl("policy", "()") { [policies] _, _ in
            .dictionary([
                ("path", .string(policies.path ?? "")), ("rules", .list(PolicyText.rules(of: policies.control.policy))),
            ])
        }
        builder.advertiseControl("checkPolicy", "(ssss)") { [policies] arguments, _ in
            let question = try PolicyQuestion(
                who: try arguments[0].text("caller"), target: try arguments[1].text("target"), action: try arguments[2].text("action"),
                zone: try arguments[3].text("zone"))
            return PolicyText.value(of: question.answer(by: policies.control.policy))
        }
        builder.advertiseControl("reloadPolicy", "()") { [policies] _, context in
            let file = try policies.reload(by: "\(Principal(context.origin, zone: .internal))")
            return .dictionary([
                ("path", .string(file.path)), ("rules", .int64(Int64(file.policy.rules.count))),
                ("groups", .int64(Int64(file.groupCount))),
            ])
        }
    }

    var status: [(String, QiValue)] {
        [("policy", .string(policies.path ?? "")), ("rules", .int64(Int64(policies.control.policy.rules.count)))]
    }
}
