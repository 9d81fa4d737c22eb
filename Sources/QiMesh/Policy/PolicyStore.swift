import Foundation
public import QiMessaging
import Synchronization

/// The policy of a node: where its file is, what holds now, and how it is read again. The file may come later than the node.
public final class PolicyStore: Sendable {
    /// What all doors ask.
    public let control: AccessControl
    private let paths: MeshPaths
    private let audit: AuditLog?
    private let state: Mutex<State>

    private struct State {
        /// Says where the file is.
        var configuration: MeshConfiguration
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
        let file = try configuration.policyFile(paths: paths).map { path throws(MeshError) in try PolicyFile.load(path, for: configuration) }
        return PolicyStore(State(configuration: configuration, file: file), paths: paths, audit: audit)
    }

    private init(_ state: State, paths: MeshPaths, audit: AuditLog?) {
        self.paths = paths
        self.audit = audit
        control = AccessControl(state.policy, audit: audit)
        if let file = state.file { audit?.configure(file.audit) }
        self.state = Mutex(state)
    }

    /// The file as it was read last; nil where there is none.
    public var file: PolicyFile? { state.withLock { $0.file } }

    /// The file in force; nil where there is none, and contacts may call, listen and read (``PermissionPolicy/contactsAllowed``).
    public var path: String? { file?.path }

    /// Looks for the file from now on where `configuration` says. What is in force stays until the next ``reload(by:)``.
    func follow(_ configuration: MeshConfiguration) { state.withLock { $0.configuration = configuration } }

    /// The file that ``reload(by:)`` would read; nil where there is none and was none. One that is gone is still expected.
    public var expectedPath: String? {
        let (configuration, known) = state.withLock { ($0.configuration, $0.file?.path) }
        return configuration.policyFile(paths: paths) ?? known
    }

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
    /// - Throws: as ``PolicyFile/load(_:)``; then the rules of before hold. `configuration` when there is no file.
    public func reload(by whom: String) throws(MeshError) -> PolicyFile {
        guard let path = expectedPath else {
            let place = state.withLock { $0.configuration }.policyPath(paths: paths)
            throw MeshError(
                .configuration, "there is no policy file \(place)", hint: "to write one and put it in force: qimesh policy edit")
        }
        do {
            let file = try PolicyFile.load(path, for: state.withLock { $0.configuration })
            audit?.configure(file.audit)
            state.withLock { state in
                state.file = file
                control.replace(state.policy)
            }
            record(whom, path, isAllowed: true, "\(file.policy.rules.count) rules")
            return file
        } catch {
            record(whom, path, isAllowed: false, error.message)
            throw MeshError(
                error.code, "\(error.message)", hint: error.hint ?? "the rules of before stay in force; mend the file and reload again",
                cause: error)
        }
    }

    private func record(_ whom: String, _ path: String, isAllowed: Bool, _ detail: String) {
        control.record(
            AuditRecord(
                event: "policy-reload", principal: whom, zone: .internal, target: path, access: "reload", isAllowed: isAllowed,
                path: "node", detail: detail))
    }
}
