public import Logging
public import QiMessaging
import Synchronization

/// The users of the gateway, in a file of mode 0600. What another process changes there (`qimesh user`) counts at once.
public final class UserStore: CredentialStore {
    private struct State {
        var table = UserTable()
        /// What the table was read from; `nil` while there is no file.
        var version: FileStatus.Version?
        /// Whether the file cannot be used as it is: then nobody is known.
        var isBroken = false
    }

    /// Where the users are kept.
    public let path: String
    private let logger: Logger?
    private let state = Mutex(State())
    private static let sizeLimit = 1 << 20

    /// Opens the store; a missing file is an empty store.
    ///
    /// - Parameter logger: told when the file breaks while it is used.
    /// - Throws: `configuration` when the file is open to others or damaged.
    public init(file path: String, logger: Logger? = nil) throws(MeshError) {
        self.path = path
        self.logger = logger
        try state.withLock { (state) throws(MeshError) in try Self.refresh(&state, path: path) }
    }

    public func proof(of credentials: Credentials) -> CredentialProof? {
        current { $0.verify(credentials) }.map { CredentialProof(.user(credentials.user), version: $0) }
    }

    public func isStillGood(_ proof: CredentialProof) -> Bool {
        guard case .user(let name) = proof.identity else { return true }
        return current { $0.digest(of: name) } == proof.version
    }

    /// The names of all users.
    public func names() throws(MeshError) -> [String] {
        try state.withLock { (state) throws(MeshError) in
            try Self.refresh(&state, path: path)
            return state.table.names
        }
    }

    /// Adds a user, or gives one another token; connections made with the earlier one end within a second.
    ///
    /// - Parameter token: one of the owner's choosing, 16 to 1024 characters; `nil` makes a random one.
    /// - Returns: the token, which is kept nowhere.
    /// - Throws: `usage` for a name or token that cannot be, `configuration` when the file cannot be used.
    public func set(_ name: String, token: String? = nil) throws(MeshError) -> String {
        guard UserTable.isValid(name: name) else {
            throw MeshError(.usage, "\"\(name)\" is no user name", hint: "use 1 to 64 letters, digits and . _ - @ +")
        }
        let token = token ?? UserTable.newToken()
        guard (UserTable.minimumToken...Credentials.maximumLength).contains(token.utf8.count) else {
            throw MeshError(
                .usage, "a token has \(UserTable.minimumToken) to \(Credentials.maximumLength) characters",
                hint: "leave it out, and a random one is made")
        }
        try change { (table) throws(MeshError) in
            guard table.contains(name) || table.names.count < UserTable.maximumUsers else {
                throw MeshError(.tooLarge, "there are \(UserTable.maximumUsers) users already")
            }
            table.set(name, token: token)
        }
        return token
    }

    /// Takes a user's access away; whoever is connected by it is out within a second.
    ///
    /// - Returns: whether there was one.
    public func remove(_ name: String) throws(MeshError) -> Bool {
        var wasThere = false
        try change { (table) throws(MeshError) in wasThere = table.remove(name) }
        return wasThere
    }

    private func change(_ body: (inout UserTable) throws(MeshError) -> Void) throws(MeshError) {
        try state.withLock { (state) throws(MeshError) in
            try PrivateFile.exclusively(path + ".lock", code: .configuration) { () throws(MeshError) in
                try Self.refresh(&state, path: path)
                var table = state.table
                try body(&table)
                guard table != state.table else { return }
                try PrivateFile.replace(path, with: table.encoded(), code: .configuration)
                state = State(table: table, version: FileStatus(path: path)?.version)
            }
        }
    }

    private func current<Result: Sendable>(_ body: (UserTable) -> Result?) -> Result? {
        state.withLock { state in
            do throws(MeshError) {
                try Self.refresh(&state, path: path)
                state.isBroken = false
            } catch {
                // Once, not for everybody who knocks.
                if !state.isBroken { logger?.error("the gateway's users are not known", metadata: ["error": "\(error.message)"]) }
                state.isBroken = true
            }
            return state.isBroken ? nil : body(state.table)
        }
    }

    /// Reads the file again if it is not the one the table came from.
    private static func refresh(_ state: inout State, path: String) throws(MeshError) {
        let version = FileStatus(path: path)?.version
        if version == state.version { return }
        let bytes = try PrivateFile.read(path, limit: sizeLimit, refusing: .readable, code: .configuration) ?? []
        state = State(table: try UserTable(bytes, path: path), version: version)
    }
}
