import Glibc
import NIOCore
import NIOPosix

/// A listening socket. Ends with ``close()``.
public final class Listener: Sendable {
    private let channel: any Channel
    /// Where it listens, with the real port.
    public let endpoint: Endpoint

    private init(channel: any Channel, endpoint: Endpoint) {
        self.channel = channel
        self.endpoint = endpoint
    }

    /// Listens at `endpoint`; `configure` sets up every accepted channel, on the loop. A failed accept ends only itself.
    static func open(
        at endpoint: Endpoint, on loop: BusLoop,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(QiError) -> Listener {
        let bootstrap = ServerBootstrap(group: loop.eventLoop)
            .serverChannelOption(.backlog, value: 512)
            .childChannelInitializer(configure)
        do {
            switch endpoint.kind {
            case .tcp(let host, let port):
                let channel = try await bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                    .bind(host: host, port: Int(port)).get()
                let actual = channel.localAddress?.port ?? Int(port)
                return try Listener(channel: channel, endpoint: parsed(host.contains(":") ? "tcp://[\(host)]:\(actual)" : "tcp://\(host):\(actual)"))
            case .unix(let path):
                try await removeStaleSocket(path, loop)
                let channel = try await bootstrap.bind(unixDomainSocketPath: path).get()
                // The directory keeps strangers out between bind and chmod: callers use one of mode 0700.
                guard chmod(path, 0o600) == 0 else {
                    try await channel.close()
                    throw QiError(.invalid, "cannot make \(path) private: \(String(cString: strerror(errno)))")
                }
                return try Listener(channel: channel, endpoint: parsed("unix:\(path)"))
            case .tls, .relative, .other:
                throw QiError(.unsupported, "cannot listen at \(endpoint): only tcp:// and unix: are served yet")
            }
        } catch let error as QiError {
            throw error
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw QiError(
                .conflict, "\(endpoint) is in use by another process",
                hint: "is another node or NAOqi running? stop it, or listen elsewhere (internal.listen)", cause: error)
        } catch {
            throw QiError(.invalid, "cannot listen at \(endpoint): \(error)", cause: error)
        }
    }

    private static func parsed(_ text: String) throws(QiError) -> Endpoint {
        guard let endpoint = Endpoint(text) else { throw QiError(.invalid, "\(text) is not an endpoint") }
        return endpoint
    }

    /// A socket file that nobody answers on is left over from a crash; one that somebody answers on is not ours to take.
    private static func removeStaleSocket(_ path: String, _ loop: BusLoop) async throws(QiError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw QiError(.conflict, "\(path) exists and is no socket", hint: "move it away, or listen elsewhere")
        }
        if let probe = try? await ClientBootstrap(group: loop.eventLoop).connect(unixDomainSocketPath: path).get() {
            probe.close(promise: nil)
            throw QiError(.conflict, "another process listens at \(path)", hint: "is a node running already? see: qimesh status")
        }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw QiError(.invalid, "cannot remove the stale socket \(path): \(String(cString: strerror(errno)))")
        }
    }

    /// Begins to stop listening: for those that cannot wait. ``close()`` is still due.
    func stop() { channel.close(promise: nil) }

    /// Stops listening; accepted connections live on.
    public func close() async {
        try? await channel.close()
        if case .unix(let path) = endpoint.kind { unlink(path) }
    }
}
