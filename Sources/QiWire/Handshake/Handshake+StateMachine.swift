public import NIOCore

/// Opens a connection: capabilities and authentication on service 0, object 0 (reference §10). Pure: messages in, decisions out.
///
///     client   idle ── start() ──▶ waiting ── Reply 0.0.8, state 3 ──▶ open
///     server                       waiting ── Call 0.0.8 ────────────▶ open
///
/// In `waiting` a Capability message is only recorded, in both roles. Any other message to 0.0 opens a server's connection, any
/// other
/// message at all a client's; either then sends its capabilities as a Capability message. A client refuses state 1 and 2 rather
/// than
/// authenticate for ever; an Error that says that the peer knows no authentication opens the connection of one without credentials.
/// In `open` the machine still records capabilities and answers authenticate; all else passes.
/// After `.fail` the connection has to be closed; `failed` fails whatever follows.
///
/// What a peer may say is counted: libqi's authenticate is its first message, and the only one of its kind. One Capability message and
/// ``maximumRefused`` messages that are not served may come before, ``maximumRepeated`` maps of either kind afterwards.
public struct Handshake: Sendable {
    /// Which end this is.
    public enum Role: Sendable, Hashable {
        /// The one that connected; it authenticates.
        case client
        /// The one that accepted, and enforces no authentication.
        case server
    }

    /// What to do with a received message.
    public enum OnMessage: Sendable, Equatable {
        /// Client: the connection is open. `remoteCapabilities` are known, possibly empty.
        case ready(Capabilities)
        /// Server: answer the call with a Reply of this payload. If the machine was waiting, the connection is open now.
        case reply(ByteBuffer)
        /// The connection is open: send this payload as a Capability message with an id of its own to 0.0.0.
        case openBySendingCapabilities(ByteBuffer)
        /// Answer the call with an Error of this payload.
        case refuse(ByteBuffer)
        /// Enforcing server: judge these credentials, then call `accept` or `reject`.
        case judge(Capabilities)
        /// Enforcing server: answer the message, if it is a call, with an Error of this payload, then close.
        case refuseAndFail(ByteBuffer, WireError)
        /// Capabilities were recorded; `shared` may have changed. Nothing to send.
        case record
        /// Drop the message.
        case ignore
        /// The message is none of the handshake's: dispatch it.
        case pass
        /// Close the connection, without an answer.
        case fail(WireError)
    }

    /// Messages that are refused or dropped before the connection is open; one more fails.
    public static let maximumRefused = 16
    /// Maps that are taken once the connection is open; one more fails.
    public static let maximumRepeated = 16

    private enum State: Sendable {
        case idle
        case waiting
        case open
        case failed
    }

    /// Which end this is.
    public let role: Role
    /// What we advertise.
    public let localCapabilities: Capabilities
    /// What the peer advertised so far; the first value for a key stays. A server does not keep a client's credentials here.
    public private(set) var remoteCapabilities = Capabilities()
    /// What both advertised.
    public private(set) var shared = SharedCapabilities.none

    private let credentials: Capabilities
    private let enforcesAuthentication: Bool
    private var state: State
    private var hasSentCapabilities = false
    private var hasReceivedCapabilities = false
    private var refused = 0
    private var repeated = 0

    /// A machine before the first message.
    ///
    /// - Parameters:
    ///   - credentials: what a client adds to its capabilities, keys on the wire form `auth_…`.
    ///   - enforcesAuthentication: whether a server judges credentials before it opens, and serves nothing else before.
    public init(
        role: Role, capabilities: Capabilities = .ours, credentials: Capabilities = Capabilities(),
        enforcesAuthentication: Bool = false
    ) {
        self.enforcesAuthentication = enforcesAuthentication
        self.role = role
        localCapabilities = capabilities
        self.credentials = credentials
        state = role == .client ? .idle : .waiting
    }

    /// Whether calls may be made and served.
    public var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    /// Client: begins. The result is the payload of a Call to `ActionAddress.authenticate`, the first message on the connection.
    ///
    /// - Throws: `.limit` or `.value` when capabilities and credentials cannot be written.
    public mutating func start() throws(WireError) -> ByteBuffer {
        var map = localCapabilities
        try map.merge(credentials)
        var payload = ByteBuffer()
        try map.write(to: &payload)
        state = .waiting
        hasSentCapabilities = true
        return payload
    }

    /// Judges a message. Once `isOpen`, only messages to 0.0 and Capability messages need to come here.
    public mutating func received(_ message: Message) -> OnMessage {
        do {
            if message.kind == .capability { return try receivedCapabilities(message) }
            switch (state, role) {
            case (.failed, _): return .fail(WireError(.handshake, "the handshake failed before; the connection has to be closed"))
            case (.idle, _): return .ignore
            case (.waiting, .client): return try clientReceived(message)
            case (.waiting, .server): return try serverReceived(message)
            case (.open, _): return try receivedWhenOpen(message)
            }
        } catch {
            state = .failed
            return .fail(error)
        }
    }

    private mutating func receivedCapabilities(_ message: Message) throws(WireError) -> OnMessage {
        switch state {
        case .failed: return .ignore
        case .open: try countRepeated()
        case .idle, .waiting:
            guard !hasReceivedCapabilities else {
                throw WireError(.handshake, "the peer sent its capabilities twice, and does not authenticate")
            }
            hasReceivedCapabilities = true
        }
        try record(message.payload)
        return .record
    }

    private mutating func countRepeated() throws(WireError) {
        repeated += 1
        guard repeated <= Handshake.maximumRepeated else {
            throw WireError(.limit, "the peer sends its capabilities again and again")
        }
    }

    @discardableResult
    private mutating func record(_ payload: ByteBuffer) throws(WireError) -> Capabilities {
        var payload = payload
        let map: Capabilities
        do {
            map = try Capabilities(reading: &payload)
        } catch {
            throw WireError(.handshake, "the peer's capabilities cannot be read: \(error.message)")
        }
        // What a client proves itself with is judged once and not kept.
        try remoteCapabilities.merge(role == .server ? map.withoutCredentials : map)
        shared = localCapabilities.shared(with: remoteCapabilities)
        return map
    }

    // MARK: Client

    private mutating func clientReceived(_ message: Message) throws(WireError) -> OnMessage {
        let address = message.address
        guard address.service == 0, address.action == WellKnownActions.authenticate else {
            return try openBySendingCapabilities()
        }
        switch message.kind {
        case .reply: return try clientReceivedReply(message)
        case .error:
            var payload = message.payload
            let text = payload.readErrorPayload()
            // A token is never left out unasked: what has to be proven to the peer would not be.
            if credentials.entries.isEmpty, Handshake.knowsNoAuthentication(text) { return try openBySendingCapabilities() }
            throw WireError(.handshake, "the peer refused us: \(text)")
        default: return try openBySendingCapabilities()
        }
    }

    /// Whether a peer answers authenticate so that has no such thing: it serves every client, and is told what we can by a Capability
    /// message (libqi `ServiceDirectoryClient::onAuthentication`). Libqi of before 2015 finds no service 0 (`Server::onMessageReady`),
    /// later ones nothing that takes the call. A peer that refuses us says something else, and closes.
    private static func knowsNoAuthentication(_ text: String) -> Bool {
        text.hasPrefix("can't find service, address: ") || text == notHandled
    }

    private mutating func clientReceivedReply(_ message: Message) throws(WireError) -> OnMessage {
        let map = try record(try Handshake.plainPayload(message))
        switch map.authenticationState {
        case .done:
            state = .open
            return .ready(remoteCapabilities)
        case .error:
            let reason = map[Capabilities.Name.authenticationErrorReason]?.value.asString
            throw WireError(.handshake, "the peer refused our authentication: \(reason ?? "it gave no reason")")
        case .proceed:
            throw WireError(
                .handshake, "the peer wants another round of authentication, but there is nothing to add; check the credentials")
        case nil:
            throw WireError(.handshake, "Invalid authentication state token: the peer's answer has no state of 1 to 3")
        }
    }

    /// The map itself: replies may come as a dynamic unasked (reference §4).
    private static func plainPayload(_ message: Message) throws(WireError) -> ByteBuffer {
        guard message.flags.contains(.dynamicPayload) else { return message.payload }
        var payload = message.payload
        guard payload.readableBytes <= Capabilities.maximumBytes, try payload.readQiSignature() == Capabilities.signature else {
            throw WireError(.handshake, "the peer's capabilities are no map of at most \(Capabilities.maximumBytes) bytes")
        }
        return payload
    }

    // MARK: Server

    private mutating func serverReceived(_ message: Message) throws(WireError) -> OnMessage {
        if enforcesAuthentication {
            guard message.isAuthenticate else { return expectedAuthentication(message) }
            return .judge(try record(try Handshake.plainPayload(message)))
        }
        guard message.address.target == .connection else {
            refused += 1
            guard refused <= Handshake.maximumRefused else {
                throw WireError(.handshake, "the peer goes on calling and does not authenticate")
            }
            return Handshake.refusal(of: message)
        }
        guard message.isAuthenticate else { return try openBySendingCapabilities() }
        try record(try Handshake.plainPayload(message))
        state = .open
        return .reply(try authenticationReply())
    }

    /// Enforcing server: the credentials are good. The result is the payload of the Reply, `adding` included.
    public mutating func accept(adding data: Capabilities = Capabilities()) throws(WireError) -> ByteBuffer {
        var map = told
        try map.merge(data)
        var payload = ByteBuffer()
        try map.with(.done).write(to: &payload)
        state = .open
        hasSentCapabilities = true
        return payload
    }

    /// Enforcing server: the credentials are bad. The result is the payload of the Error; the connection is closed after it.
    public mutating func reject(reason: String) -> ByteBuffer {
        state = .failed
        var payload = ByteBuffer()
        payload.writeErrorPayload("Authentication failed: \(reason)")
        return payload
    }

    private mutating func expectedAuthentication(_ message: Message) -> OnMessage {
        state = .failed
        let text =
            "Expected authentication (service #0, type #1, action #8), received (service #\(message.address.service), "
            + "type #\(message.kind.rawValue), action #\(message.address.action))"
        var payload = ByteBuffer()
        payload.writeErrorPayload(text)
        return .refuseAndFail(payload, WireError(.handshake, text))
    }

    private mutating func receivedWhenOpen(_ message: Message) throws(WireError) -> OnMessage {
        guard message.address.target == .connection else { return .pass }
        switch (role, message.isAuthenticate) {
        case (.server, true):
            try countRepeated()
            try record(try Handshake.plainPayload(message))
            return .reply(try authenticationReply())
        // Answers to what we sent to 0.0 before it was open, and posts to nobody.
        default: return Handshake.refusal(of: message)
        }
    }

    /// What the peer is told. A server keeps to what libqi says, unless the client has said that it knows more.
    private var told: Capabilities {
        guard role == .server, !remoteCapabilities.isEnabled(Capabilities.Name.eventGaps) else { return localCapabilities }
        var map = localCapabilities
        map[Capabilities.Name.eventGaps] = nil
        return map
    }

    /// State 3, and our capabilities if they were not sent on this connection yet.
    private mutating func authenticationReply() throws(WireError) -> ByteBuffer {
        let map = (hasSentCapabilities ? Capabilities() : told).with(.done)
        hasSentCapabilities = true
        var payload = ByteBuffer()
        try map.write(to: &payload)
        return payload
    }

    private mutating func openBySendingCapabilities() throws(WireError) -> OnMessage {
        var payload = ByteBuffer()
        try told.write(to: &payload)
        hasSentCapabilities = true
        state = .open
        return .openBySendingCapabilities(payload)
    }

    private static func refusal(of message: Message) -> OnMessage {
        guard message.kind == .call else { return .ignore }
        var payload = ByteBuffer()
        payload.writeErrorPayload(notHandled)
        return .refuse(payload)
    }

    /// libqi's text for a call that nobody here receives (reference §14).
    public static let notHandled = "The call request could not be handled."
}

extension Message {
    fileprivate var isAuthenticate: Bool { kind == .call && address == .authenticate }
}
