public import Logging
public import NIOCore

/// An XMPP account in use: login, contacts, presence, discovery, requests, bytestreams.
///
/// ```
///   XMPPClient ── SessionHost (actor) ── XMPPSession ── StropheConnection ── libstrophe ── server
///   any thread    └───────────── StropheLoop: one thread, one poll() ──────────────┘
///        └── BytestreamChannel on the event loop of whoever opened it
/// ```
///
/// `run()` is the client's lifetime. Methods that only set something return at once and take effect in the order of the
/// calls, also before `run()`: handlers for every request that arrives later, features and presence as soon as the client's thread has
/// them; what only reads (state, contacts, presences) answers from the last known state on any thread.
public final class XMPPClient: Sendable {
    /// The configuration in use.
    public let configuration: XMPPConfiguration
    let host: SessionHost
    let contacts: ContactBook
    let status: ClientStatus

    /// Makes a client; nothing is connected before ``run()``.
    /// - Parameters:
    ///   - configuration: Account and limits.
    ///   - delegate: Told about everything that happens, on the client's thread.
    ///   - admits: Whether the owner of the account takes a bare address for a contact. An account that the server lists and this
    ///     refuses is a stranger: it is neither answered nor asked. Called on any thread, for each request; must return soon.
    ///   - expects: Whether a subscription request of a bare address is answered without a person, given how the server lists the account:
    ///     the delegate is told of it, and it is not kept among those that wait. Called like `admits`.
    ///   - logger: For background activity; what the API reports is not logged above debug.
    ///   - eventLoopGroup: Keeps the time of connection attempts, which block the client's own thread.
    public init(
        configuration: XMPPConfiguration, delegate: (any XMPPClientDelegate)? = nil,
        admits: @escaping @Sendable (JID) -> Bool = { _ in true },
        expects: @escaping @Sendable (JID, RosterItem?) -> Bool = { _, _ in false }, logger: Logger, eventLoopGroup: any EventLoopGroup
    ) {
        var logger = logger
        logger[metadataKey: LogKeys.account] = "\(configuration.jid)"
        self.configuration = configuration
        contacts = ContactBook(limits: configuration.limits, admission: admits, expectation: expects)
        status = ClientStatus()
        host = SessionHost(
            configuration: configuration, delegate: delegate, contacts: contacts, status: status, logger: logger,
            timekeeper: eventLoopGroup.next())
    }

    /// Connects, and keeps connecting again with growing jittered pauses (1 s to 1 min) after every loss, until the task is
    /// cancelled or ``shutdown()`` is called: then says goodbye to the server and returns. Call it once.
    ///
    /// Nothing that a server does ends it: where a person is needed (account, password or certificate refused) the state is `refused`
    /// and the pauses are 1 min to 15 min; where the server names another host, that one is asked (RFC 6120 §4.9.3.19), and its
    /// certificate has to be the domain's like any other's.
    ///
    /// Throws `.configuration` for an address that is no account's, `.invalidInput` when it was called before.
    public func run() async throws(XMPPError) {
        try await host.run()
    }

    /// Ends ``run()`` in the orderly way. Any thread; returns at once.
    /// - Parameter reason: what bytestreams, and whatever else still waits, fail with.
    public func shutdown(_ reason: String = "the client is stopping") {
        host.shutdown(reason)
    }

    /// Ends a pause before the next attempt to log in: something may have changed. Any thread; returns at once.
    public func tryNow() {
        host.enqueue { $0.tryNow() }
    }

    /// Where the client stands with its server.
    public var state: XMPPConnectionState { status.state }

    /// The full address the server gave this connection; nil when not online.
    public var boundJID: JID? { status.boundJID }
}
