public import NIOCore

extension XMPPClient {
    /// What this client has learned of how its server lets in-band bytes through: how fast, how much at one time. Any thread; at most a
    /// quarter of a second old.
    public var inBandStatus: InBandStatus { status.inBand }

    /// Returns when no bytestream is left and what was flushed on those that were closed has been sent; at `end` at the latest, when the
    /// client is not connected, or when the task is cancelled. Never waits for the client's thread.
    public func bytestreamsEnded(before end: ContinuousClock.Instant) async {
        while status.bytestreams > 0, state.isOnline, ContinuousClock.now < end {
            // Ends early by the cancellation only.
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
        }
    }

    /// Opens a bytestream to a connection of a mutual contact: a Jingle session (XEP-0166) over in-band blocks (XEP-0261).
    /// - Parameters:
    ///   - address: A full address.
    ///   - application: The session's `<description/>`; its namespace says what the stream is for.
    ///   - eventLoop: Where the channel lives.
    ///   - timeout: For the whole negotiation, which begins when it is this one's turn: few are set up at one time
    ///     (``BytestreamLimits/openingsAtOnce``), or on a slow server all would time out together. The turn comes within ten minutes
    ///     (``BytestreamLimits/openingPatience``), or the attempt fails with `.timedOut`.
    ///   - initializer: Runs on the event loop before the first byte; installs the channel's handlers.
    /// - Throws: `.streamRefused` with the peer's reason, `.timedOut`, `.notConnected`, `.connectionLost`, `.limitExceeded`.
    public func openBytestream(
        to address: JID, application: Element, on eventLoop: any EventLoop, timeout: Duration = .seconds(30),
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(XMPPError) -> any Channel {
        try await openBytestream(
            to: address, application: application, over: .inBand, on: eventLoop, timeout: timeout, initializer: initializer
        ).channel
    }

    /// Opens a bytestream over a transport of choice, in a Jingle session of its own.
    ///
    /// A SOCKS5 bytestream (XEP-0260) is a TCP socket: the application protects it itself, and owns it. It outlives the loss of the XMPP
    /// connection; its session ends with it, and it with its session while there is one, with ``shutdown(_:)``, and with the contact.
    /// - Parameters: as for ``openBytestream(to:application:on:timeout:initializer:)``; for SOCKS5 `eventLoop` has to be one of NIOPosix.
    /// - Throws: The same, with what became of the candidates in ``XMPPError/report``; `.noPath` when none of them works.
    public func openBytestream(
        to address: JID, application: Element, over transport: BytestreamTransport, on eventLoop: any EventLoop,
        timeout: Duration = .seconds(30), initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(XMPPError) -> OpenBytestream {
        try await host.openBytestream(
            to: address, application: application, over: transport, on: eventLoop, timeout: timeout, initializer: initializer)
    }

    /// What SOCKS5 bytestreams that contacts offer may do; nil, as in the beginning, takes none. In force for every offer that arrives
    /// later; presence goes out again when what is announced changes.
    public func setSOCKS5Options(_ options: SOCKS5Options?) {
        host.handlers.setSOCKS5(options)
        host.enqueue { $0.extensions.capabilities.featuresChanged() }
    }

    /// Takes the bytestreams of mutual contacts whose application has that namespace. `accept` runs on that event loop
    /// and must return soon; a later handler replaces an earlier one.
    public func setBytestreamHandler(
        applicationNamespace: String, on eventLoop: any EventLoop,
        accept: @escaping @Sendable (BytestreamOffer) -> BytestreamDecision
    ) {
        host.handlers.setOffer(
            applicationNamespace: applicationNamespace, BytestreamOfferHandler(eventLoop: eventLoop, accept: accept))
    }
}
