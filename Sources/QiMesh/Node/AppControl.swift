import Foundation
import QiMessaging
import QiWire

/// The part of the control interface about remote applications.
final class AppControl: ControlMembers {
    private let apps: AppStore
    private let access: AccessControl?

    init(_ apps: AppStore, access: AccessControl?) {
        self.apps = apps
        self.access = access
    }

    func add(to builder: inout ObjectBuilder) {
        builder.advertiseControl("installApp", "(ss[[s]]b)") { [self] arguments, _ in
            let manifest = try AppManifest(
                name: try arguments[0].text("name"), description: try arguments[1].text("description"),
                permissions: (arguments[2].asList ?? []).map { ($0.asList ?? []).map { $0.asString ?? "" } })
            return try install(manifest, approved: arguments[3].asBool ?? false)
        }
        builder.advertiseControl("apps", "()") { [self] _, _ in .list(try apps.apps().map(Self.describe)) }
        builder.advertiseControl("approveApp", "(s)") { [self] arguments, _ in
            let name = try arguments[0].text("name")
            try apps.approve(name)
            record("app-approve", name)
            return .dictionary([("name", .string(name))])
        }
        builder.advertiseControl("revokeApp", "(s)") { [self] arguments, _ in
            let name = try arguments[0].text("name")
            try apps.revoke(name)
            record("app-revoke", name)
            return .dictionary([("name", .string(name))])
        }
    }

    private func install(_ manifest: AppManifest, approved: Bool) throws -> QiValue {
        let session = try apps.install(manifest, approved: approved)
        record("app-install", manifest.name, approved ? "approved" : "waits for approval")
        return .dictionary([
            ("name", .string(manifest.name)), ("session", .string(session)), ("approved", .bool(approved)),
            ("description", .string(manifest.description)), ("rules", Self.rules(manifest)),
        ])
    }

    private static func describe(_ app: InstalledApp) -> QiValue {
        .dictionary([
            ("name", .string(app.name)), ("description", .string(app.manifest.description)), ("approved", .bool(app.approved != nil)),
            ("installedAt", .double(app.installed.timeIntervalSince1970)),
            ("approvedAt", .double(app.approved?.timeIntervalSince1970 ?? 0)), ("rules", rules(app.manifest)),
        ])
    }

    private static func rules(_ manifest: AppManifest) -> QiValue { .list(PolicyText.rules(of: PermissionPolicy(rules: manifest.rules))) }

    private func record(_ event: String, _ name: String, _ detail: String? = nil) {
        access?.record(
            AuditRecord(
                event: event, principal: "app:\(name)", zone: .internal, target: name, access: event, isAllowed: true,
                path: "control interface", detail: detail))
    }
}
