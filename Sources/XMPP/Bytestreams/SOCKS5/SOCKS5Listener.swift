import NIOCore
import NIOPosix

/// The streamhosts of one session (XEP-0065 §5): a listening socket at each address that is offered, from the offer to the end of the
/// negotiation. A connection counts once its SOCKS5 request names the bytestream; one per address does.
///
/// `@unchecked Sendable`: the event loop protects all state.
final class SOCKS5Listener: @unchecked Sendable {
    /// What became of an address.
    enum Place: Hashable, Sendable {
        /// Its port.
        case open(UInt16)
        /// It is not offered, for that reason.
        case failed(String)
    }

    private let loop: any EventLoop
    private let names: Set<String>
    private let limits: SOCKS5Limits
    private let arrived: @Sendable (_ index: Int, _ channel: any Channel) -> Void
    private var sockets: [any Channel] = []
    /// Connections in their handshake.
    private var waiting: [ObjectIdentifier: any Channel] = [:]
    private var served: Set<Int> = []
    private var isClosed = false

    /// - Parameters:
    ///   - names: of the bytestream (``StreamDigest``).
    ///   - arrived: takes a connection to the address of that index over, before its peer hears of it; on the loop.
    init(
        on loop: any EventLoop, names: Set<String>, limits: SOCKS5Limits,
        arrived: @escaping @Sendable (_ index: Int, _ channel: any Channel) -> Void
    ) {
        self.loop = loop
        self.names = names
        self.limits = limits
        self.arrived = arrived
    }

    /// Opens a port at each of these addresses. Completes once all are open or have failed, in their order, on the loop.
    func open(_ addresses: [String], completion: @escaping @Sendable ([Place]) -> Void) {
        let opened = addresses.enumerated().map { open($0.element, index: $0.offset) }
        EventLoopFuture.whenAllSucceed(opened, on: loop).whenComplete { result in
            switch result {
            case .success(let places): completion(places)
            case .failure(let error): completion(addresses.map { _ in .failed(ConnectionWords.of(error)) })
            }
        }
    }

    private func open(_ address: String, index: Int) -> EventLoopFuture<Place> {
        guard let socketAddress = NumericAddress.socketAddress(address, port: 0) else {
            return loop.makeSucceededFuture(.failed("no numeric address"))
        }
        guard let bootstrap = ServerBootstrap(validatingGroup: loop) else {
            return loop.makeSucceededFuture(.failed("its event loop has no sockets"))
        }
        return bootstrap.serverChannelOption(.backlog, value: Int32(limits.waiting))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in channel.eventLoop.makeCompletedFuture { try self.accept(channel, index) } }
            .bind(to: socketAddress).map { socket in
                if self.isClosed { socket.close(promise: nil) } else { self.sockets.append(socket) }
                return socket.localAddress?.port.flatMap { UInt16(exactly: $0) }.map { .open($0) } ?? .failed("no port")
            }
            .flatMapErrorThrowing { .failed(ConnectionWords.of($0)) }
    }

    private func accept(_ channel: any Channel, _ index: Int) throws {
        guard !isClosed, waiting.count < limits.waiting else { return channel.close(promise: nil) }
        let id = ObjectIdentifier(channel)
        waiting[id] = channel
        channel.closeFuture.whenComplete { _ in self.waiting[id] = nil }
        let handler = SOCKS5ServerHandler(
            patience: limits.handshake,
            decide: { [self] name in !isClosed && names.contains(name) && served.insert(index).inserted },
            arrived: { [self] channel in
                waiting[id] = nil
                arrived(index, channel)
            })
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    /// Closes the ports and the connections that were not taken over. Any thread.
    func close() {
        loop.execute { self.closeAll() }
    }

    private func closeAll() {
        isClosed = true
        for socket in sockets + Array(waiting.values) { socket.close(promise: nil) }
        sockets = []
        waiting = [:]
    }
}
