import Crypto
import Foundation
import Logging
import QiMessaging
import Synchronization

/// The remote applications that the owner has installed: who they are by their session ids, and what they may do.
///
/// Kept in one file, mode 0600, of hashes and manifests. A node and a gateway that is a process of its own use the same file: what one
/// changes counts for the other at its next question.
final class AppStore: CredentialStore {
    private struct State {
        var apps: [InstalledApp] = []
        /// What they were read from; nil while there is no file.
        var version: FileStatus.Version?
        /// Whether the file cannot be used as it is: then nobody is known.
        var isBroken = false
    }

    private let path: String
    private let now: @Sendable () -> Date
    private let logger: Logger?
    private let onChanged: @Sendable ([PermissionRule]) -> Void
    private let state: Mutex<State>

    /// More than any robot has; a bound for the file.
    static let limit = 256
    private static let sizeLimit = 32 << 20

    /// Opens the store; a missing file is an empty store.
    ///
    /// - Parameters:
    ///   - path: the file; its directory must exist and be private.
    ///   - logger: told when the file breaks while it is used.
    ///   - onChanged: hears what the approved applications may do, at once and after every change, before anybody is admitted under
    ///     it. Must not use the store.
    /// - Throws: `configuration` when the file is open to others or damaged.
    init(
        file path: String, logger: Logger? = nil, now: @escaping @Sendable () -> Date = { Date() },
        onChanged: @escaping @Sendable ([PermissionRule]) -> Void = { _ in }
    ) throws(MeshError) {
        self.path = path
        self.now = now
        self.logger = logger
        self.onChanged = onChanged
        state = Mutex(State())
        try state.withLock { (state) throws(MeshError) in
            if try Self.refresh(&state, path) == false { onChanged([]) } else { onChanged(Self.rules(of: state.apps)) }
        }
    }

    // MARK: - Who they are

    /// Whose session id this is; nil when nobody's, and for an application that is not approved. Takes as long whatever is wrong, names
    /// that are not known included. Does not wait for more than a look at the file.
    /// - Parameters:
    ///   - name: what the client calls itself, `auth_user`.
    ///   - session: what it presents, `auth_token`.
    func authenticate(name: String, session: String) -> Principal.Identity? {
        let hash = Self.hash(session)
        let apps = current() ?? []
        var isRight = false
        for app in apps where app.name == name {
            isRight = ConstantTime.areEqual(app.sessionHash, hash) && app.approved != nil
        }
        return isRight ? .app(name) : nil
    }

    /// The applications among those who may come in by a name and a secret.
    func proof(of credentials: Credentials) -> CredentialProof? {
        authenticate(name: credentials.user, session: credentials.token)
            .map { CredentialProof($0, version: Self.hash(credentials.token)) }
    }

    /// Whether an application that was admitted may stay: not after it was installed anew, with another session id. True for an
    /// identity that is no application.
    func isStillGood(_ proof: CredentialProof) -> Bool {
        guard case .app(let name) = proof.identity else { return true }
        return current()?.contains { $0.name == name && $0.approved != nil && $0.sessionHash == proof.version } ?? false
    }

    /// What the approved applications may do.
    var rules: [PermissionRule] { Self.rules(of: current() ?? []) }

    private static func rules(of apps: [InstalledApp]) -> [PermissionRule] {
        apps.filter { $0.approved != nil }.flatMap(\.manifest.rules)
    }

    private static func hash(_ session: String) -> [UInt8] { Array(SHA256.hash(data: Array(session.utf8))) }

    // MARK: - The owner

    /// Installs an application, or installs it anew: then its earlier session id is worth nothing, and connections made with it end
    /// within a second.
    ///
    /// - Returns: the session id, 22 characters, which is kept nowhere.
    /// - Throws: `tooLarge` when there are too many, `configuration` when the file cannot be used.
    func install(_ manifest: AppManifest, approved: Bool) throws(MeshError) -> String {
        let session = Base64URL.encode(SymmetricKey(size: .bits128).withUnsafeBytes { Array($0) })
        let date = now()
        try change { (apps) throws(MeshError) in
            apps.removeAll { $0.name == manifest.name }
            guard apps.count < Self.limit else {
                throw MeshError(.tooLarge, "\(Self.limit) applications are installed, which is the most there can be", hint: "qimesh app list; then, for one that is not needed: qimesh app revoke NAME")
            }
            apps.append(
                InstalledApp(
                    manifest: manifest, sessionHash: Self.hash(session), installed: date, approved: approved ? date : nil))
        }
        return session
    }

    /// Agrees to what an application wants.
    /// - Throws: `notFound`.
    func approve(_ name: String) throws(MeshError) {
        let date = now()
        try change { (apps) throws(MeshError) in
            guard let index = apps.firstIndex(where: { $0.name == name }) else { throw Self.unknown(name) }
            if apps[index].approved == nil { apps[index].approved = date }
        }
    }

    /// Ends an application's access and forgets it; whoever is connected by it is out within a second.
    /// - Throws: `notFound`.
    func revoke(_ name: String) throws(MeshError) {
        try change { (apps) throws(MeshError) in
            guard apps.contains(where: { $0.name == name }) else { throw Self.unknown(name) }
            apps.removeAll { $0.name == name }
        }
    }

    /// All of them, by name.
    func apps() throws(MeshError) -> [InstalledApp] {
        try state.withLock { (state) throws(MeshError) in
            if try Self.refresh(&state, path) { onChanged(Self.rules(of: state.apps)) }
            return state.apps.sorted { $0.name < $1.name }
        }
    }

    private static func unknown(_ name: String) -> MeshError {
        MeshError(.notFound, "no application \"\(name)\" is installed", hint: "qimesh app list")
    }

    // MARK: - The file

    private func change(_ body: (inout [InstalledApp]) throws(MeshError) -> Void) throws(MeshError) {
        try state.withLock { (state) throws(MeshError) in
            try PrivateFile.exclusively(path + ".lock", code: .configuration) { () throws(MeshError) in
                _ = try Self.refresh(&state, path)
                var apps = state.apps
                try body(&apps)
                guard apps != state.apps else { return }
                try PrivateFile.replace(path, with: AppFile.encode(apps), code: .configuration)
                state = State(apps: apps, version: FileStatus(path: path)?.version)
                onChanged(Self.rules(of: apps))
            }
        }
    }

    /// The applications as the file has them now; nil when it cannot be used.
    private func current() -> [InstalledApp]? {
        state.withLock { state in
            do throws(MeshError) {
                if try Self.refresh(&state, path) { onChanged(Self.rules(of: state.apps)) }
                state.isBroken = false
                return state.apps
            } catch {
                // Once, not for everybody who knocks.
                if !state.isBroken {
                    logger?.error("the applications are not known", metadata: ["error": "\(error.message)"])
                    onChanged([])
                }
                state.isBroken = true
                return nil
            }
        }
    }

    /// Reads the file again if it is not the one the applications came from. Returns whether it did.
    private static func refresh(_ state: inout State, _ path: String) throws(MeshError) -> Bool {
        let version = FileStatus(path: path)?.version
        if version == state.version, !state.isBroken { return false }
        let bytes = try PrivateFile.read(path, limit: sizeLimit, refusing: .readable, code: .configuration)
        let apps = try bytes.map { bytes throws(MeshError) in try AppFile.decode(bytes, path: path) } ?? []
        guard Set(apps.map(\.name)).count == apps.count else { throw MeshError(.configuration, "\(path) has an application twice") }
        state = State(apps: apps, version: version)
        return true
    }
}
