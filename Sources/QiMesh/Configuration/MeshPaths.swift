import Foundation

/// Where a node keeps its files and opens its sockets, decided once from the environment.
public struct MeshPaths: Hashable, Sendable {
    /// The user's home directory; what `~/` stands for in the configuration.
    public var homeDirectory: String
    /// The configuration files that are looked for, in this order; one, if it was named by hand.
    public var configurationCandidates: [String]
    /// Whether the configuration file was named by hand (`--config`, `$QIMESH_CONFIG`) and so must exist.
    public var configurationIsExplicit: Bool
    /// Who the command line logs in as, and the token, see ``Login``. `$XDG_CONFIG_HOME/qimesh/auth`, else `~/.config/qimesh/auth`.
    public var loginFile: String
    /// What survives a restart: identity and trust. `$XDG_STATE_HOME/qimesh`, else `~/.local/state/qimesh`.
    public var stateDirectory: String
    /// The sockets. `$XDG_RUNTIME_DIR/qimesh`, else `run` in the state directory.
    public var runtimeDirectory: String

    /// The pinned keys, see ``TrustStore``.
    public var trustFile: String { stateDirectory + "/trust.json" }
    /// The hashes of pairing tokens, and what became of them.
    public var enrollmentFile: String { stateDirectory + "/enrollments.json" }
    /// Remote applications: their manifests, and the hashes of their session ids.
    public var appFile: String { stateDirectory + "/apps.json" }
    /// What the directory remembers over a restart.
    public var journalFile: String { stateDirectory + "/directory.journal" }
    /// The keys of gateways and robots that commands have logged in at, see ``KnownDoors``.
    public var knownDoorFile: String { stateDirectory + "/known-doors" }
    /// The hashed tokens of those who come in at the gateway by name.
    public var userFile: String { stateDirectory + "/users" }
    /// Denials, one line of JSON each; older ones are beside it, with a number behind. Allowed calls, changes and denials of strangers are
    /// in files of their own: `audit-calls.jsonl`, `audit-changes.jsonl`, `audit-strangers.jsonl`.
    public var auditFile: String { stateDirectory + "/audit.jsonl" }

    /// Where a gateway that is a process of its own writes the same: each puts its own files aside.
    public var gatewayAuditFile: String { stateDirectory + "/audit-gateway.jsonl" }
    /// The socket of the control interface; never reachable from outside this user's account.
    public var controlSocket: String { runtimeDirectory + "/control.sock" }
    /// The directory's unix socket.
    public var directorySocket: String { runtimeDirectory + "/sd.sock" }

    /// `sun_path` has 108 bytes, the last of which is zero (unix(7)).
    static let socketPathLimit = 107

    /// Decides all paths. Touches no file.
    /// - Parameters:
    ///   - environment: the variables of this process; relative paths in `XDG_*` count as unset, as the XDG base directory
    ///     specification wants.
    ///   - home: the user's home directory if `$HOME` is unset.
    ///   - configuration: the file named by `--config`; outranks `$QIMESH_CONFIG`.
    /// - Throws: `configuration` when no home directory is known, or a socket's path would be longer than the 107 bytes a unix
    ///   socket takes.
    public init(environment: [String: String], home: String? = nil, configuration: String? = nil) throws(MeshError) {
        func absolute(_ name: String) -> String? { environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil } }
        guard let home = absolute("HOME") ?? home else {
            throw MeshError(.configuration, "no home directory is known for this user", hint: "set HOME")
        }
        homeDirectory = home
        let user = (absolute("XDG_CONFIG_HOME") ?? home + "/.config") + "/qimesh"
        loginFile = user + "/auth"
        if let named = configuration ?? environment["QIMESH_CONFIG"].flatMap({ $0.isEmpty ? nil : $0 }) {
            configurationCandidates = [named]
            configurationIsExplicit = true
        } else {
            configurationCandidates = [user + "/qimesh.yaml", "/etc/qimesh/qimesh.yaml"]
            configurationIsExplicit = false
        }
        stateDirectory = (absolute("XDG_STATE_HOME") ?? home + "/.local/state") + "/qimesh"
        runtimeDirectory = absolute("XDG_RUNTIME_DIR").map { $0 + "/qimesh" } ?? stateDirectory + "/run"
        for socket in [controlSocket, directorySocket] { try Self.checkSocketPath(socket) }
    }

    /// The paths of the process that asks.
    /// - Parameter configuration: the file named by `--config`.
    /// - Throws: as ``init(environment:home:configuration:)``.
    public static func current(configuration: String? = nil) throws(MeshError) -> MeshPaths {
        try MeshPaths(
            environment: ProcessInfo.processInfo.environment, home: FileManager.default.homeDirectoryForCurrentUser.path,
            configuration: configuration)
    }

    /// The configuration file to read: the first candidate that exists, or the one named by hand; `nil` when there is none to
    /// read.
    public var configurationFile: String? {
        if configurationIsExplicit { return configurationCandidates.first }
        return configurationCandidates.first { FileManager.default.fileExists(atPath: $0) }
    }

    /// Makes the state and runtime directories (0700), or checks that existing ones are ours and closed to others.
    /// - Throws: `configuration` with the `chmod` or `chown` that helps.
    public func prepareDirectories() throws(MeshError) {
        try PrivateDirectory.ensure(stateDirectory, code: .configuration)
        try PrivateDirectory.ensure(runtimeDirectory, code: .configuration)
    }

    /// The directories a command may talk to, in order, when none was named: our own sockets first (reference "cli-and-config"
    /// §1).
    public var directoryCandidates: [String] {
        ["unix:" + directorySocket, "unix:/run/qimesh/sd.sock", "tcp://127.0.0.1:9559"]
    }

    /// - Throws: `configuration` when no unix socket can have this path.
    static func checkSocketPath(_ path: String) throws(MeshError) {
        let length = path.utf8.count
        guard length <= socketPathLimit else {
            throw MeshError(
                .configuration, "the socket path \(path) has \(length) bytes; a unix socket takes at most \(socketPathLimit)",
                hint: "set XDG_RUNTIME_DIR to a shorter directory")
        }
    }
}
