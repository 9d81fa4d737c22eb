import Foundation
public import QiMessaging
import Synchronization

/// The policy of a node: where its file is, what holds now, and how it is read again.
public final class PolicyStore: Sendable {
    /// What all doors ask.
    public let control: AccessControl
    /// The file in force; nil where there is none, and contacts may use all services (``PermissionPolicy/contactsAllowed``).
    public let path: String?
    private let audit: AuditLog?
    private let state: Mutex<State>

    private struct State {
        var file: PolicyFile?
        /// Rules that are of no file, such as those of installed applications; read after the file's.
        var grants: [PermissionRule] = []

        var policy: PermissionPolicy {
            var policy = file?.policy ?? .contactsAllowed
            policy.rules += grants
            return policy
        }
    }

    /// Reads the file that `configuration` names, or that lies beside it.
    ///
    /// - Throws: as ``PolicyFile/load(_:)``.
    static func open(_ configuration: MeshConfiguration, paths: MeshPaths, audit: AuditLog? = nil) throws(MeshError) -> PolicyStore {
        guard let path = configuration.policyFile(paths: paths) else { return PolicyStore(path: nil, file: nil, audit: audit) }
        return PolicyStore(path: path, file: try PolicyFile.load(path), audit: audit)
    }

    private init(path: String?, file: PolicyFile?, audit: AuditLog?) {
        self.path = path
        self.audit = audit
        control = AccessControl(file?.policy ?? .contactsAllowed, audit: audit)
        state = Mutex(State(file: file))
        if let file { audit?.configure(file.audit) }
    }

    /// The file as it was read last; nil where there is none.
    public var file: PolicyFile? { state.withLock { $0.file } }

    /// Puts rules in force that are of no file, after those of the file and in place of earlier ones: what installed applications were
    /// granted. They stay over a ``reload(by:)``.
    public func setGrants(_ rules: [PermissionRule]) {
        // In one step, or of two changes at a time the first could be put in force last.
        state.withLock { state in
            state.grants = rules
            control.replace(state.policy)
        }
    }

    /// Reads the file again and puts it in force, on live sessions within a second and without ending one.
    ///
    /// - Throws: as ``PolicyFile/load(_:)``; then the rules of before hold. `configuration` when the node began without a file.
    public func reload(by whom: String) throws(MeshError) -> PolicyFile {
        guard let path else {
            throw MeshError(
                .configuration, "this node has no policy file",
                hint: "write policy.yaml beside qimesh.yaml, or name one there as policy:, and start the node again")
        }
        do {
            let file = try PolicyFile.load(path)
            audit?.configure(file.audit)
            state.withLock { state in
                state.file = file
                control.replace(state.policy)
            }
            record(whom, isAllowed: true, "\(file.policy.rules.count) rules")
            return file
        } catch {
            record(whom, isAllowed: false, error.message)
            throw MeshError(
                error.code, "\(error.message)", hint: error.hint ?? "the rules of before stay in force; mend the file and reload again",
                cause: error)
        }
    }

    private func record(_ whom: String, isAllowed: Bool, _ detail: String) {
        control.record(
            AuditRecord(
                event: "policy-reload", principal: whom, zone: .internal, target: path ?? "", access: "reload", isAllowed: isAllowed,
                path: "node", detail: detail))
    }
}
