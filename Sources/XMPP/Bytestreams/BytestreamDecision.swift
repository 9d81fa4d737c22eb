public import NIOCore

/// The answer to a ``BytestreamOffer``.
public enum BytestreamDecision: Sendable {
    /// Take it. The initializer runs on the channel's event loop before the first byte and adds the handlers; when its future
    /// fails, the bytestream is closed again (XEP-0166 §7.4, `failed-application`).
    case accept(_ initializer: @Sendable (any Channel) -> EventLoopFuture<Void>)
    /// The same for an application that wants to know which way the bytes take.
    case acceptReporting(_ initializer: @Sendable (any Channel, BytestreamReport) -> EventLoopFuture<Void>)
    /// The same, over a transport of which the application wants something, as an opener does: of SOCKS5 bytestreams (XEP-0260) only what
    /// these options allow is offered and dialled. One of another kind than the offer's says nothing.
    case acceptOver(_ transport: BytestreamTransport, _ initializer: @Sendable (any Channel, BytestreamReport) -> EventLoopFuture<Void>)
    /// Do not take it; the reason is told to the contact and must hold nothing private.
    case decline(reason: String)
}
