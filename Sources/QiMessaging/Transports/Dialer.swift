import Glibc
import NIOCore
import NIOPosix

/// Opens qi connections over sockets.
enum Dialer {
    /// Connects to `endpoint` and authenticates.
    ///
    /// - Throws: `.offline` when nobody answers there, `.denied` when the peer refuses us, `.timedOut`, `.unsupported`.
    static func connect(
        to endpoint: Endpoint, loop: BusLoop, owner: NIOLoopBound<any ConnectionOwner>?, limits: ConnectionLimits,
        timeout: TimeAmount = .seconds(10)
    ) async throws(QiError) -> NIOLoopBound<Connection> {
        let bootstrap = ClientBootstrap(group: loop.eventLoop).connectTimeout(timeout)
        let install: @Sendable (any Channel) -> EventLoopFuture<NIOLoopBound<Connection>> = { channel in
            channel.eventLoop.makeCompletedFuture {
                try SocketOptions.apply(to: channel)
                let connection = try QiPipeline.install(
                    on: channel, bus: loop.bus, role: .client, origin: origin(of: endpoint), owner: owner?.value, limits: limits)
                return NIOLoopBound(connection, eventLoop: channel.eventLoop)
            }
        }
        let connection: NIOLoopBound<Connection>
        do {
            switch endpoint.kind {
            case .tcp(let host, let port):
                connection = try await bootstrap.connect(host: host, port: Int(port), channelInitializer: install)
            case .unix(let path): connection = try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: install)
            case .tls, .relative, .other:
                throw QiError(.unsupported, "cannot connect to \(endpoint): only tcp:// and unix: are dialled yet")
            }
        } catch let error as QiError {
            throw error
        } catch {
            throw QiError(
                .offline, "nobody answers at \(endpoint): \(Self.reason(error))",
                hint: "check the address, and that a node or robot is running there", cause: error)
        }
        try await loop.run { (_) async throws(QiError) in try await connection.value.opened() }
        return connection
    }

    private static func origin(of endpoint: Endpoint) -> ConnectionOrigin {
        switch endpoint.kind {
        case .tcp(let host, _), .tls(let host, _, _): .tcp(host: host)
        case .unix, .relative, .other: .unix(uid: nil)
        }
    }

    private static func reason(_ error: any Error) -> String {
        if let failure = error as? IOError { return String(cString: strerror(failure.errnoCode)) }
        if let failure = error as? NIOConnectionError, let first = failure.connectionErrors.first { return reason(first.error) }
        return "\(error)"
    }
}

extension Connection {
    /// Returns when the connection is authenticated.
    nonisolated(nonsending) func opened() async throws(QiError) {
        let result: Result<Void, QiError> = await withUnsafeContinuation { continuation in
            whenOpen { continuation.resume(returning: $0) }
        }
        try result.get()
    }
}
