import Dispatch
public import Foundation
import Glibc
import Synchronization

/// A private ejabberd for one test: own folder, own authority, own port on 127.0.0.1, TLS mandatory, no federation, no distributed Erlang.
///
/// It ends with ``stop()``, when the last reference goes, and, because it hangs on a pipe of this process, also when the
/// process is killed.
public final class EjabberdServer: Sendable {
    /// Numeric address it listens on.
    public let host = "127.0.0.1"
    /// Port with STARTTLS.
    public let port: UInt16
    /// Domain of all accounts.
    public let domain = "mesh.test"
    /// PEM file of the authority that issued the server's certificate.
    public let caFile: String
    /// The server's log.
    public let log: URL

    private let folder: URL
    private let running = Mutex<Running?>(nil)

    private struct Running: Sendable {
        let ended: DispatchSemaphore
        /// The write end of the pipe the server's shell reads.
        let lifeline: Int32
    }

    /// Starts a server and waits until it accepts connections and knows the accounts.
    /// - Parameters:
    ///   - accounts: Names (without domain) and passwords, of letters and digits.
    ///   - isShaped: Whether clients are slowed down as ejabberd is shipped: 3000 bytes a second after a burst of 20 000.
    /// - Throws: ``ServerFailure``.
    public static func start(accounts: [(user: String, password: String)], isShaped: Bool) throws -> EjabberdServer {
        let server = try EjabberdServer(isShaped: isShaped)
        try server.begin(accounts)
        return server
    }

    private init(isShaped: Bool) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("ejabberd-\(UUID().uuidString)")
        log = folder.appendingPathComponent("ejabberd.log")
        port = try ProsodyServer.freePorts(1)[0]
        let authority = try TestAuthority(in: folder.appendingPathComponent("ca"))
        caFile = authority.certificate.path
        let leaf = try authority.issue(for: domain)
        let pem = folder.appendingPathComponent("server.pem")
        try (Data(contentsOf: leaf.certificate) + Data(contentsOf: leaf.key)).write(to: pem)
        let text = Self.configuration(domain: domain, port: port, pem: pem.path, caFile: caFile, isShaped: isShaped)
        try Data(text.utf8).write(to: folder.appendingPathComponent("ejabberd.yml"))
        // Look-ups of server records fail at once.
        let lookUps = "{lookup,[file]}.\n{resolv_conf,\"\"}.\n{nameserver,{127,0,0,1}}.\n{timeout,200}.\n{retry,1}.\n"
        try Data(lookUps.utf8).write(to: folder.appendingPathComponent("inetrc"))
    }

    deinit { stop() }

    /// Ends the server and removes its folder.
    public func stop() {
        let current = running.withLock { running in
            defer { running = nil }
            return running
        }
        if let current {
            close(current.lifeline)
            current.ended.wait()
        }
        try? FileManager.default.removeItem(at: folder)
    }

    private func begin(_ accounts: [(user: String, password: String)]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        let ready = folder.appendingPathComponent("ready").path
        let registrations = accounts.map { account in
            "ejabberd_auth:try_register(<<\"\(account.user)\">>,<<\"\(domain)\">>,<<\"\(account.password)\">>),"
        }
        let evaluated = registrations.joined() + "file:write_file(\"\(ready)\",<<>>)."
        // The server ends when this process does, however it does: then the pipe closes and `cat` returns.
        process.arguments = [
            "-c",
            "erl -noinput +K true -mnesia dir \"\\\"$1/db\\\"\" -s ejabberd -eval \"$2\" >\"$1/output\" 2>&1 & pid=$!; cat >/dev/null; "
                + "kill $pid; wait $pid",
            "ejabberd", folder.path, evaluated,
        ]
        process.environment = try environment()
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        let lifeline = try Command.lifeline(process)
        running.withLock { $0 = Running(ended: ended, lifeline: lifeline) }
        let deadline = Date().addingTimeInterval(30)
        while !FileManager.default.fileExists(atPath: ready) {
            guard Date() < deadline else {
                let said = (try? String(contentsOf: folder.appendingPathComponent("output"), encoding: .utf8)) ?? ""
                stop()
                throw ServerFailure("ejabberd did not start: \(said.suffix(2000))")
            }
            // A server says in no other way that it is ready.
            usleep(20_000)
        }
    }

    private func environment() throws -> [String: String] {
        // Where Debian keeps ejabberd's own code depends on the machine.
        let libraries = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"].first { folder in
            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).contains { $0.hasPrefix("ejabberd-") }
        }
        guard let libraries else { throw ServerFailure("ejabberd is not installed: apt-get install ejabberd") }
        return ProcessInfo.processInfo.environment.merging([
            "HOME": folder.path, "ERL_LIBS": libraries, "EJABBERD_CONFIG_PATH": folder.appendingPathComponent("ejabberd.yml").path,
            "EJABBERD_LOG_PATH": log.path, "ERL_INETRC": folder.appendingPathComponent("inetrc").path, "ERL_CRASH_DUMP": "/dev/null",
        ]) { $1 }
    }

    private static func configuration(domain: String, port: UInt16, pem: String, caFile: String, isShaped: Bool) -> String {
        """
        hosts: [\(domain)]
        loglevel: info
        certfiles: ["\(pem)"]
        ca_file: "\(caFile)"
        auth_password_format: scram
        disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
        listen:
          - port: \(port)
            ip: "127.0.0.1"
            module: ejabberd_c2s
            max_stanza_size: 262144
            shaper: \(isShaped ? "c2s_shaper" : "none")
            access: all
            starttls_required: true
        acl: {local: {user_regexp: ""}, loopback: {ip: ["127.0.0.0/8"]}}
        access_rules: {local: {allow: local}}
        shaper: {normal: {rate: 3000, burst_size: 20000}}
        shaper_rules: {max_user_sessions: 10, max_user_offline_messages: 100, c2s_shaper: normal}
        modules: {mod_blocking: {}, mod_privacy: {}, mod_caps: {}, mod_client_state: {}, mod_disco: {}, mod_last: {}, mod_offline: {},
          mod_ping: {}, mod_private: {}, mod_roster: {versioning: true}, mod_pubsub: {plugins: [flat, pep]}, mod_stream_mgmt: {}, mod_version: {}}

        """
    }
}
