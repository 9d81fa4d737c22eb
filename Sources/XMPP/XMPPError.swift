/// What went wrong in the XMPP client, for programs (``code``) and for people (``message``, which says what to do).
public struct XMPPError: Error, Sendable {
    /// What kind of failure it is. A struct over a private enum: a new code breaks no `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Wrapped: String {
            case notAuthorized, certificate, configuration, unreachable, connectionLost, notConnected, timedOut, conflict
            case stanza, invalidInput, limitExceeded, streamRefused, streamClosed, noPath, cancelled
        }

        private let wrapped: Wrapped

        private init(_ wrapped: Wrapped) { self.wrapped = wrapped }

        /// The server refused account or password (RFC 6120 §6.5).
        public static let notAuthorized = Code(.notAuthorized)
        /// The server's certificate was refused.
        public static let certificate = Code(.certificate)
        /// The configuration cannot work.
        public static let configuration = Code(.configuration)
        /// The server could not be reached.
        public static let unreachable = Code(.unreachable)
        /// The stream to the server ended.
        public static let connectionLost = Code(.connectionLost)
        /// There is no stream to the server now.
        public static let notConnected = Code(.notConnected)
        /// No answer in time.
        public static let timedOut = Code(.timedOut)
        /// Another connection took the resource (RFC 6120 §4.9.3.3).
        public static let conflict = Code(.conflict)
        /// The other side answered with an error; see ``XMPPError/stanzaError``.
        public static let stanza = Code(.stanza)
        /// An argument cannot be sent.
        public static let invalidInput = Code(.invalidInput)
        /// A limit of ours was reached.
        public static let limitExceeded = Code(.limitExceeded)
        /// The other side does not take the bytestream.
        public static let streamRefused = Code(.streamRefused)
        /// The bytestream has ended.
        public static let streamClosed = Code(.streamClosed)
        /// No candidate of a bytestream works; see ``XMPPError/report``.
        public static let noPath = Code(.noPath)
        /// The task was cancelled or the client was stopped.
        public static let cancelled = Code(.cancelled)

        /// The code's name.
        public var description: String { wrapped.rawValue }
    }

    /// What kind of failure it is.
    public var code: Code
    /// What happened and what to do, in one or two sentences. Never holds a password.
    public var message: String
    /// The same without what is different at each attempt though nothing has changed, such as the time of day: for telling something once.
    public var timelessMessage: String { timeless ?? message }
    /// What ``timelessMessage`` says, where that is not the message.
    var timeless: String?
    /// The error another entity answered with, when ``code`` is `.stanza` or the refusal came from a peer.
    public var stanzaError: StanzaError?
    /// What became of the candidates of a bytestream that was not opened, where there were any.
    public var report: BytestreamReport?
    /// The error beneath this one.
    public var cause: (any Error)?

    /// Makes an error.
    public init(_ code: Code, _ message: String, stanzaError: StanzaError? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.stanzaError = stanzaError
        self.cause = cause
    }
}

extension XMPPError: CustomStringConvertible {
    /// `code: message`, and the cause if there is one.
    public var description: String {
        var text = "\(code): \(message)"
        if let stanzaError { text += " (answer: \(stanzaError))" }
        if let cause { text += " (cause: \(cause))" }
        return text
    }
}
