import Foundation
import QiMessaging

/// Remote applications, and the policy.
extension NodeControl {
    func installApp(_ name: String, description: String, permissions: [[String]], approved: Bool) async -> Answer<AppInstallation> {
        await Answer {
            let manifest = try AppManifest(name: name, description: description, permissions: permissions)
            let session = try installed.install(manifest, approved: approved)
            recordApp("app-install", name, approved ? "approved" : "waits for approval")
            return AppInstallation(
                name: name, session: session, approved: approved, description: description, rules: Self.rules(of: manifest))
        }
    }

    func apps() async -> Answer<[AppRow]> {
        await Answer {
            try installed.apps().map { app in
                AppRow(
                    name: app.name, description: app.manifest.description, approved: app.approved != nil,
                    installedAt: app.installed.timeIntervalSince1970, approvedAt: app.approved?.timeIntervalSince1970,
                    rules: Self.rules(of: app.manifest))
            }
        }
    }

    func approveApp(_ name: String) async -> Answer<NamedApp> {
        await Answer {
            try installed.approve(name)
            recordApp("app-approve", name)
            return NamedApp(name: name)
        }
    }

    func revokeApp(_ name: String) async -> Answer<NamedApp> {
        await Answer {
            try installed.revoke(name)
            recordApp("app-revoke", name)
            return NamedApp(name: name)
        }
    }

    private static func rules(of manifest: AppManifest) -> [RuleRow] { PolicyText.rules(of: PermissionPolicy(rules: manifest.rules)) }

    private func recordApp(_ event: String, _ name: String, _ detail: String? = nil) {
        record(event, of: "app:\(name)", event, name, detail: detail)
    }

    // MARK: - The policy

    func policy() async -> Answer<PolicyListing> {
        await Answer { PolicyText.listing(of: policies.control.policy, path: policies.path) }
    }

    func checkPolicy(who: String, target: String, action: String, zone: String?) async -> Answer<PolicyAnswer> {
        await Answer {
            let question = try PolicyQuestion(who: who, target: target, action: action, zone: zone ?? "")
            return PolicyText.answer(question.answer(by: policies.control.policy))
        }
    }

    func reloadPolicy() async -> Answer<ReloadedPolicy> {
        await Answer {
            let file = try policies.reload(by: "\(Principal(try caller().origin, zone: .internal))")
            return ReloadedPolicy(path: file.path, rules: file.policy.rules.count, groups: file.groupCount)
        }
    }
}
