public import NIOCore

/// A way to make channels to and from addresses of some schemes: sockets, bytestreams. What runs on the channel (TLS, the
/// protocol) is the same everywhere and is put there by the caller's `configure`.
///
/// One from outside this module is given to a session (``Session/Options/transports``) and to a directory's listener
/// (``DirectoryServer/listen(at:tls:transport:zone:)``). Where it says nothing of its way, connections are called by their scheme, come
/// from the internet, and have proven nothing.
public protocol Transport: Sendable {
    /// The URI schemes of the endpoints it serves, for example `["tcp", "unix"]`.
    var schemes: [String] { get }

    /// The way that connections at an endpoint take.
    func path(at endpoint: Endpoint) -> PathKind

    /// How near an endpoint is and what it costs: the smaller is dialled first, and nil not at all. Sockets go from 0 (unix) by 1 (TCP on
    /// loopback) to 6 (TCP elsewhere).
    func rank(of endpoint: Endpoint) -> Int?

    /// How a channel came, from where, and who its peer has proven to be. Asked on the channel's loop when the other side is reached.
    ///
    /// - Parameter isServer: whether the channel was accepted.
    /// - Returns: fails with `.denied` for a peer that may not use the channel; it is closed then.
    func origin(of channel: any Channel, at endpoint: Endpoint, isServer: Bool) -> EventLoopFuture<ConnectionOrigin>

    /// Opens a channel whose loop is `eventLoop`.
    ///
    /// `configure` runs once, on that loop, when the other side is reached and before any byte of it was delivered. If it fails,
    /// the channel is closed and the future fails with its error.
    ///
    /// - Returns: fails with a ``QiError``, or whatever error says why nobody could be reached, at the latest after `timeout`.
    func connect(
        to endpoint: Endpoint, on eventLoop: any EventLoop, timeout: TimeAmount,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel>

    /// Listens. `configure` runs once for each accepted channel, on `eventLoop`, before any byte was delivered; if it fails, that
    /// channel alone is closed.
    ///
    /// - Returns: how it listens, once it does.
    func listen(
        at endpoint: Endpoint, on eventLoop: any EventLoop,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<TransportListening>
}

extension Transport {
    /// Called by the scheme.
    public func path(at endpoint: Endpoint) -> PathKind { PathKind(endpoint.scheme) }

    /// Behind all sockets.
    public func rank(of endpoint: Endpoint) -> Int? { 7 }

    /// An anonymous peer, at the address that the channel names.
    public func origin(of channel: any Channel, at endpoint: Endpoint, isServer: Bool) -> EventLoopFuture<ConnectionOrigin> {
        channel.eventLoop.makeSucceededFuture(
            ConnectionOrigin(by: path(at: endpoint), from: channel.remoteAddress?.plainHost))
    }
}
