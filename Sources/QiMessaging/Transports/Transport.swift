public import NIOCore

/// A way to make channels to and from addresses of some schemes: sockets, bytestreams. What runs on the channel (TLS, the
/// protocol) is the same everywhere and is put there by the caller's `configure`.
public protocol Transport: Sendable {
    /// The URI schemes of the endpoints it serves, for example `["tcp", "unix"]`.
    var schemes: [String] { get }

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
