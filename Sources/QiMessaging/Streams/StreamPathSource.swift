public import NIOCore

/// The paths that may lead to one device, for a stream to it. Implemented outside this module, which knows no XMPP.
public protocol StreamPathSource: Sendable {
    /// The kinds that may be tried, best first; the last is the fallback, which is opened first.
    var kinds: [PathKind] { get }

    /// The full address of the program that the paths lead to; nil until the first was opened.
    var program: String? { get }

    /// Opens a path of that kind: a channel with TLS of its own, on which the device's key was compared with the one known. Within 20 s.
    /// `install` adds the stream's handler behind those that encrypt, before the first byte.
    ///
    /// - Throws: `.offline` when there is no such path now, `.denied` when the device or its key is refused, `.timedOut`.
    func open(
        _ kind: PathKind, on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(QiError)

    /// What a path of that kind lets through now.
    func width(of kind: PathKind) -> PathWidth

    /// Whether the device is known to be away: its presence is gone, and not ours.
    var isAway: Bool { get }

    /// Why a path was refused inside TLS, which itself says only that it failed; nil when it was something else.
    var refusal: QiError? { get }
}
