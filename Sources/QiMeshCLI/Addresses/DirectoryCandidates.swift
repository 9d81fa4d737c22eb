import QiMessaging

/// Which directories a command may talk to, decided from its options and the environment (reference "cli-and-config" §1).
struct DirectoryCandidates: Hashable {
    /// URLs in full, in the order to try; the first that answers is used.
    var urls: [String]
    /// What named the only candidate (`--url`, `$QIMESH_URL`), nil when the usual places are tried.
    var source: String?

    /// What a directory may be wanted for.
    enum Purpose: Hashable {
        /// The services it lists.
        case localServices
        /// Services of contacts: only a node has them, so `$QI_URL`, which names a robot to other tools, does not count.
        case contacts
        /// The node's control interface: as before, and on the unix socket only, so the usual TCP port is not tried.
        case control
    }

    /// - Parameters:
    ///   - url: the value of `--url`.
    ///   - environment: the variables of this process.
    ///   - purpose: what the directory is wanted for.
    init(url: String?, environment: [String: String], for purpose: Purpose = .localServices) {
        func set(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        // What is no address is kept as it is, for the message that says so.
        func only(_ url: String, _ source: String) -> ([String], String) { ([Endpoint.typed(url)?.text ?? url], source) }
        if let url {
            (urls, source) = only(url, "--url")
        } else if let url = set("QIMESH_URL") {
            (urls, source) = only(url, "$QIMESH_URL")
        } else if purpose == .localServices, let url = set("QI_URL") {
            (urls, source) = only(url, "$QI_URL")
        } else {
            urls = Self.sockets(environment).map { "unix:" + $0 } + (purpose == .control ? [] : ["tcp://127.0.0.1:9559"])
            source = nil
        }
    }

    /// - Throws: `usage` for what was named and is no address.
    func check() throws(CommandFailure) {
        guard let source, let url = urls.first, Endpoint.typed(url) == nil else { return }
        throw .usage("\"\(url)\" (\(source)) is not the address of a directory: tcp://HOST:PORT, tcps://HOST:PORT or unix:/PATH")
    }

    /// Where a node of this user, or of this machine, puts its directory's socket. Relative `XDG_*` count as unset.
    private static func sockets(_ environment: [String: String]) -> [String] {
        func absolute(_ name: String) -> String? { environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil } }
        var paths: [String] = []
        if let runtime = absolute("XDG_RUNTIME_DIR") { paths.append(runtime + "/qimesh/sd.sock") }
        if let state = absolute("XDG_STATE_HOME") ?? absolute("HOME").map({ $0 + "/.local/state" }) {
            paths.append(state + "/qimesh/run/sd.sock")
        }
        return paths + ["/run/qimesh/sd.sock"]
    }
}
