import CQiSystem
import Glibc
public import Logging
public import NIOCore
import NIOPosix

/// TCP and unix sockets. `tcps` and `tcpsm` are TCP here: TLS is a layer on the channel (``TLSOptions``).
public struct SocketTransport: Transport {
    public let schemes = ["tcp", "tcps", "tcpsm", "unix"]
    private let logger: Logger
    private let makeRoom: (@Sendable () -> Void)?

    /// - Parameters:
    ///   - logger: told when no descriptor is left for another connection, and when there are some again.
    ///   - makeRoom: asked on the event loop, then, to end a connection.
    public init(logger: Logger = Logger(label: "qi.sockets"), makeRoom: (@Sendable () -> Void)? = nil) {
        self.logger = logger
        self.makeRoom = makeRoom
    }

    public func connect(
        to endpoint: Endpoint, on eventLoop: any EventLoop, timeout: TimeAmount,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        let bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(timeout)
        let connected: EventLoopFuture<any Channel>
        switch endpoint.kind {
        case .tcp(let host, let port), .tls(let host, let port, _): connected = bootstrap.connect(host: host, port: Int(port))
        case .unix(let path): connected = bootstrap.connect(unixDomainSocketPath: path)
        case .relative, .other:
            return eventLoop.makeFailedFuture(QiError(.unsupported, "\(endpoint) is no socket that can be connected to"))
        }
        // Not in the bootstrap's initializer, which runs for each address of a name. The loop reads nothing before this ran.
        return connected.flatMap { channel in
            do {
                try SocketOptions.apply(to: channel)
            } catch {
                channel.close(promise: nil)
                return eventLoop.makeFailedFuture(error)
            }
            return configure(channel).map { channel }.flatMapError { error in
                channel.close(promise: nil)
                return eventLoop.makeFailedFuture(error)
            }
        }
    }

    public func listen(
        at endpoint: Endpoint, on eventLoop: any EventLoop,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<TransportListening> {
        Descriptors.fillReserve()
        switch endpoint.kind {
        case .tcp(let host, let port), .tls(let host, let port, _):
            return SocketNames.address(of: host, port: port, on: eventLoop)
                .flatMap { address in
                    bootstrap(for: endpoint, on: eventLoop, configure: configure)
                        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1).bind(to: address)
                }
                .flatMapThrowing { channel in
                    let actual = UInt16(channel.localAddress?.port ?? Int(port))
                    guard let real = endpoint.replacing(host: host, port: actual) else {
                        channel.close(promise: nil)
                        throw QiError(.invalid, "\(host) is no host that an endpoint can name")
                    }
                    return Self.listening(channel, real)
                }
        case .unix(let path):
            return bootstrap(for: endpoint, on: eventLoop, configure: configure).bind(unixDomainSocketPath: path)
                .map { Self.listening($0, endpoint) }
        case .relative, .other:
            return eventLoop.makeFailedFuture(QiError(.unsupported, "\(endpoint) is no socket that can be listened at"))
        }
    }

    private func bootstrap(
        for endpoint: Endpoint, on eventLoop: any EventLoop, configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> ServerBootstrap {
        // The owner's own socket lets him in to look what is wrong.
        let rules = AcceptPauseHandler.Rules(logger: logger, usesReserve: endpoint.isUnix, makeRoom: makeRoom)
        return ServerBootstrap(group: eventLoop)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPauseHandler(rules))
                }
            }
            .serverChannelOption(.backlog, value: 512)
            // One at a time, and between two whoever is connected: a flood of connections must not hold up the others.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer { channel in
                do {
                    // Fails for a connection that was reset before it was accepted, and ends that one only.
                    try SocketOptions.apply(to: channel)
                } catch {
                    return eventLoop.makeFailedFuture(error)
                }
                return configure(channel)
            }
    }

    private static func listening(_ channel: any Channel, _ endpoint: Endpoint) -> TransportListening {
        TransportListening(at: endpoint, ended: channel.closeFuture) { channel.close(promise: nil) }
    }
}

// MARK: - How they are told apart

extension SocketTransport {
    public func path(at endpoint: Endpoint) -> PathKind {
        switch endpoint.kind {
        case .unix: .unix
        case .tls: .tls
        case .tcp, .relative, .other: .tcp
        }
    }

    /// On loopback the clear comes first, where it is cheaper; elsewhere TLS.
    public func rank(of endpoint: Endpoint) -> Int? {
        switch endpoint.kind {
        case .unix: 0
        case .tcp: endpoint.isLoopback ? 1 : 6
        case .tls(_, _, let mutual): (endpoint.isLoopback ? 2 : 4) + (mutual ? 0 : 1)
        case .relative, .other: nil
        }
    }

    /// Who is at the other end, as the kernel says. Of TLS nothing is proven yet (`TLSIdentityHandler`).
    public func origin(of channel: any Channel, at endpoint: Endpoint, isServer: Bool) -> EventLoopFuture<ConnectionOrigin> {
        let host: String
        switch endpoint.kind {
        case .unix: return neighbour(on: channel, at: endpoint, isServer: isServer)
        case .tcp(let name, _), .tls(let name, _, _): host = name
        case .relative, .other: host = endpoint.text
        }
        return channel.eventLoop.makeSucceededFuture(
            ConnectionOrigin(by: path(at: endpoint), from: channel.remoteAddress?.plainHost ?? host))
    }

    /// A unix socket serves its own user, and root; root may use everybody's.
    private func neighbour(on channel: any Channel, at endpoint: Endpoint, isServer: Bool) -> EventLoopFuture<ConnectionOrigin> {
        let refusal = QiError(.denied, "the process at the other end of \(endpoint) belongs to another user")
        guard let provider = channel as? any SocketOptionProvider else { return channel.eventLoop.makeFailedFuture(refusal) }
        let credentials: EventLoopFuture<qimesh_ucred> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        return credentials.flatMapThrowing { credentials in
            guard credentials.uid == getuid() || credentials.uid == 0 || (!isServer && getuid() == 0) else { throw refusal }
            return .unix(uid: credentials.uid)
        }
    }
}
