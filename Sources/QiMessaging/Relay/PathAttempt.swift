public import NIOCore
public import QiWire

/// One attempt to reach a device: by which way, what is said there, and what it came to. Used once, by one task.
public protocol PathAttempt: Sendable {
    /// The way it takes. By default ``PathKind/inBand``, so that no bound on bytes is missed by a way that says nothing of itself.
    var path: PathKind { get }

    /// What we say of ourselves, and of whom we mean, inside the encrypted bytestream.
    var credentials: Capabilities { get }

    /// Opens an encrypted bytestream to the device, within 20 s. `install` adds the qi protocol behind the handlers that encrypt, before
    /// the first byte.
    ///
    /// - Throws: `.offline` when the device cannot be reached now, `.denied` when it or its key is refused, `.timedOut`.
    func open(
        on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(QiError)

    /// The peer has answered inside the bytestream; throwing ends the connection.
    ///
    /// - Throws: `.denied` when it is not the device that is meant, or that may not be reached any more.
    func verify(_ answer: Capabilities) throws(QiError)

    /// The paths that a stream to the device may take; nil for a device that is reached by ``open(on:install:)`` alone.
    ///
    /// - Throws: as ``open(on:install:)``.
    func stream() async throws(QiError) -> (any StreamPathSource)?

    /// Why it failed inside TLS, which itself says only that it failed; nil when it was something else.
    var refusal: QiError? { get }
}

extension PathAttempt {
    public var path: PathKind { .inBand }

    public func stream() async throws(QiError) -> (any StreamPathSource)? { nil }
}
