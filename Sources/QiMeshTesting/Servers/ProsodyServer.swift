import Dispatch
public import Foundation
import Glibc
import Synchronization

/// A private Prosody for one test: own folder, own authority, own port on 127.0.0.1, TLS mandatory, no limits.
///
/// It ends with ``stop()``, when the last reference goes, and, because it hangs on a pipe of this process, also when the
/// process is killed.
public final class ProsodyServer: Sendable {
    /// Numeric address it listens on.
    public let host = "127.0.0.1"
    /// Port with STARTTLS.
    public let port: UInt16
    /// Port with TLS from the first byte.
    public let directTLSPort: UInt16
    /// Port of its SOCKS5 proxy, `proxy.mesh.test` (XEP-0065); nil when it has none.
    public let proxyPort: UInt16?
    /// Domain of all accounts.
    public let domain = "mesh.test"
    /// PEM file of the authority that issued the server's certificate.
    public let caFile: String
    /// The server's log.
    public let log: URL

    private let folder: URL
    private let configuration: URL
    private let running = Mutex<Running?>(nil)

    private struct Running: Sendable {
        let ended: DispatchSemaphore
        /// The write end of the pipe the server's shell reads.
        let lifeline: Int32
    }

    /// Starts a server and waits until it accepts connections.
    /// - Parameters:
    ///   - accounts: Names (without domain) and passwords.
    ///   - extraConfig: Lines for the global part of Prosody's configuration; none may repeat a setting of this fixture.
    ///   - modules: Modules beside the usual ones, for example `stanza_debug`.
    ///   - ownModules: Modules of the test, by name, as Lua text; they are in use.
    ///   - users: Accounts (`name@mesh.test`) that may use its SOCKS5 proxy (mod_proxy65), all for an empty list; nil for a server
    ///     without one.
    ///   - logLevel: Least severe level in ``log``; `debug` with `stanza_debug` shows every stanza.
    /// - Throws: ``ServerFailure``.
    public static func start(
        accounts: [(user: String, password: String)], extraConfig: String = "", modules: [String] = [],
        ownModules: [String: String] = [:], proxyFor users: [String]? = nil, logLevel: String = "info"
    ) throws -> ProsodyServer {
        let server = try ProsodyServer(
            extraConfig: extraConfig, modules: modules + ownModules.keys.sorted(), ownModules: ownModules, proxyFor: users,
            logLevel: logLevel)
        for account in accounts { try server.register(account.user, password: account.password) }
        try server.resume()
        return server
    }

    private init(
        extraConfig: String, modules: [String], ownModules: [String: String], proxyFor users: [String]?, logLevel: String
    ) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("prosody-\(UUID().uuidString)")
        configuration = folder.appendingPathComponent("prosody.cfg.lua")
        log = folder.appendingPathComponent("prosody.log")
        let ports = try ProsodyServer.freePorts(3)
        port = ports[0]
        directTLSPort = ports[1]
        proxyPort = users == nil ? nil : ports[2]
        let authority = try TestAuthority(in: folder.appendingPathComponent("ca"))
        caFile = authority.certificate.path
        let leaf = try authority.issue(for: domain)
        let plugins = folder.appendingPathComponent("plugins")
        try FileManager.default.createDirectory(at: plugins, withIntermediateDirectories: true)
        for (name, lua) in ownModules { try Data(lua.utf8).write(to: plugins.appendingPathComponent("mod_\(name).lua")) }
        let text = Self.configuration(
            folder: folder, log: log, domain: domain, ports: ports, certificate: leaf.certificate, key: leaf.key,
            caFile: caFile, extraConfig: extraConfig, modules: modules, proxyFor: users, logLevel: logLevel)
        try Data(text.utf8).write(to: configuration)
    }

    deinit { end(removing: true) }

    /// Adds an account; also while the server runs.
    public func register(_ user: String, password: String) throws {
        let root = getuid() == 0 ? ["--root"] : []
        try Command.run(
            ["prosodyctl", "--config", configuration.path] + root + ["register", user, domain, password])
    }

    /// Ends the server but keeps its accounts for ``resume()``.
    public func suspend() { end(removing: false) }

    /// Starts the server again on the same ports with the same accounts.
    public func resume() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        // The server ends when this process does, however it does: then the pipe closes and `cat` returns.
        process.arguments = [
            "-c",
            // Going on, in case it was frozen: a stopped process does not end.
            "prosody -F --config \"$1\" >/dev/null 2>>\"$2\" & pid=$!; cat >/dev/null; kill $pid; kill -CONT $pid; wait $pid",
            "prosody", configuration.path, log.path + ".stderr",
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        let lifeline = try Command.lifeline(process)
        running.withLock { $0 = Running(ended: ended, lifeline: lifeline) }
        let deadline = Date().addingTimeInterval(15)
        while !accepts(port) {
            guard Date() < deadline else {
                suspend()
                throw ServerFailure("prosody did not start: \(tail(log)) \(tail(URL(fileURLWithPath: log.path + ".stderr")))")
            }
            // A server says in no other way that it is ready.
            usleep(10_000)
        }
    }

    /// Stands the server still: every connection stays open and nothing answers on it, as behind a network that drops everything.
    /// Throws ``ServerFailure`` when it does not run.
    public func freeze() throws { try signal(SIGSTOP) }

    /// Lets a frozen server go on where it stood.
    public func thaw() throws { try signal(SIGCONT) }

    private func signal(_ number: Int32) throws {
        let text = try? String(contentsOf: folder.appendingPathComponent("prosody.pid"), encoding: .utf8)
        guard let pid = text.flatMap({ pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }), kill(pid, number) == 0 else {
            throw ServerFailure("prosody does not run")
        }
    }

    /// Ends the server and removes its folder.
    public func stop() { end(removing: true) }

    private func end(removing: Bool) {
        let current = running.withLock { running in
            let current = running
            running = nil
            return current
        }
        if let current {
            close(current.lifeline)
            current.ended.wait()
        }
        if removing { try? FileManager.default.removeItem(at: folder) }
    }

    private func tail(_ file: URL) -> String {
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? "(no \(file.lastPathComponent))"
        return String(text.suffix(2000))
    }

    private func accepts(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return ProsodyServer.withLoopback(port) { connect(descriptor, $0, $1) } == 0
    }

    /// Ports nobody listens on now; all are held until all are known, so they differ.
    static func freePorts(_ count: Int) throws -> [UInt16] {
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { close(descriptor) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw ServerFailure("no socket: errno \(errno)") }
            descriptors.append(descriptor)
            guard withLoopback(0, { bind(descriptor, $0, $1) }) == 0 else { throw ServerFailure("no port: errno \(errno)") }
            var address = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
            }
            guard status == 0 else { throw ServerFailure("no port: errno \(errno)") }
            return UInt16(bigEndian: address.sin_port)
        }
    }

    private static func withLoopback(
        _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    private static func configuration(
        folder: URL, log: URL, domain: String, ports: [UInt16], certificate: URL, key: URL, caFile: String,
        extraConfig: String, modules: [String], proxyFor users: [String]?, logLevel: String
    ) -> String {
        let usual = [
            "disco", "roster", "saslauth", "tls", "blocklist", "pep", "ping", "version", "time", "private", "vcard4",
        ]
        let names = (usual + modules).map { "\"\($0)\"" }.joined(separator: ", ")
        let allowed = (users ?? []).map { "\"\($0)\"" }.joined(separator: ", ")
        let proxy = """
            Component "proxy.\(domain)" "proxy65"
              proxy65_address = "127.0.0.1"
              proxy65_acl = { \(allowed) }

            """
        return """
            run_as_root = \(getuid() == 0)
            pidfile = "\(folder.path)/prosody.pid"
            data_path = "\(folder.path)/data"
            certificates = "\(folder.path)/ca"
            log = { { levels = { min = "\(logLevel)" }, to = "file", filename = "\(log.path)" } }
            interfaces = { "127.0.0.1" }
            c2s_ports = { \(ports[0]) }
            c2s_direct_tls_ports = { \(ports[1]) }
            c2s_direct_tls_ssl = { certificate = "\(certificate.path)", key = "\(key.path)" }
            s2s_ports = { }
            proxy65_interfaces = { "127.0.0.1" }
            proxy65_ports = { \(ports[2]) }
            http_ports = { }
            https_ports = { }
            plugin_paths = { "\(folder.path)/plugins" }
            modules_enabled = { \(names) }
            modules_disabled = { "s2s" }
            allow_registration = false
            c2s_require_encryption = true
            authentication = "internal_hashed"
            storage = "internal"
            ssl = { cafile = "\(caFile)" }
            \(extraConfig)
            VirtualHost "\(domain)"
              ssl = { certificate = "\(certificate.path)", key = "\(key.path)", cafile = "\(caFile)" }
            \(users == nil ? "" : proxy)
            """
    }
}
