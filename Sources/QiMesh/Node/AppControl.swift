import Foundation
import QiMessaging

/// The part of the control interface about remote applications.
final class AppControl: Sendable {
    private let store: AppStore
    private let access: AccessControl?

    init(_ apps: AppStore, access: AccessControl?) {
        store = apps
        self.access = access
    }

    func install(_ manifest: AppManifest, approved: Bool) throws -> AppInstallation {
        let session = try store.install(manifest, approved: approved)
        record("app-install", manifest.name, approved ? "approved" : "waits for approval")
        return AppInstallation(
            name: manifest.name, session: session, approved: approved, description: manifest.description, rules: Self.rules(manifest))
    }

    func all() throws -> [AppRow] {
        try store.apps().map { app in
            AppRow(
                name: app.name, description: app.manifest.description, approved: app.approved != nil,
                installedAt: app.installed.timeIntervalSince1970, approvedAt: app.approved?.timeIntervalSince1970,
                rules: Self.rules(app.manifest))
        }
    }

    func approve(_ name: String) throws -> NamedApp {
        try store.approve(name)
        record("app-approve", name)
        return NamedApp(name: name)
    }

    func revoke(_ name: String) throws -> NamedApp {
        try store.revoke(name)
        record("app-revoke", name)
        return NamedApp(name: name)
    }

    private static func rules(_ manifest: AppManifest) -> [RuleRow] { PolicyText.rules(of: PermissionPolicy(rules: manifest.rules)) }

    private func record(_ event: String, _ name: String, _ detail: String? = nil) {
        access?.record(
            AuditRecord(
                event: event, principal: "app:\(name)", zone: .internal, target: name, access: event, isAllowed: true,
                path: "control interface", detail: detail))
    }
}
