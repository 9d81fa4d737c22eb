import NIOCore

/// Takes the offers of one application.
struct BytestreamOfferHandler: Sendable {
    /// Where the channels live and `accept` is called.
    let eventLoop: any EventLoop
    let accept: @Sendable (BytestreamOffer) -> BytestreamDecision
}
