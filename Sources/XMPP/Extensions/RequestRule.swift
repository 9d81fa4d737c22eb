/// Who sent a stanza, as far as it matters.
enum StanzaSender: Hashable {
    /// Our own server, or our own account through it.
    case server
    /// An account that sees us and that we see.
    case contact
    /// Everybody else, other connections of our own account included.
    case stranger
}

/// Answers a request of a peer in the background.
typealias RequestHandler = @Sendable (IQRequest) async -> Result<Element?, StanzaError>

/// Answers a request that anybody may make; nil answers as a connection that does not exist would.
public typealias OpenRequestHandler = @Sendable (IQRequest) async -> Result<Element?, StanzaError>?

/// How a request is answered, which happens exactly once.
enum RequestAnswer {
    /// At once.
    case now(Result<Element?, StanzaError>)
    /// By a handler in the background; a bounded number of them run.
    case later(RequestHandler)
    /// By the extension itself.
    case byExtension
}

/// The requests of one namespace: who may make them, and who answers.
struct RequestRule {
    let namespace: String
    /// Whose requests are looked at; those of others are answered as if the namespace were not known.
    let senders: Set<StanzaSender>
    /// Nil for a request that the namespace's specification does not have, or that is not implemented.
    let answer: (IQRequest) -> RequestAnswer?

    /// - Parameter senders: strangers are refused whatever it says.
    init(_ namespace: String, from senders: Set<StanzaSender> = [.server, .contact], answer: @escaping (IQRequest) -> RequestAnswer?) {
        self.namespace = namespace
        self.senders = senders
        self.answer = answer
    }
}
