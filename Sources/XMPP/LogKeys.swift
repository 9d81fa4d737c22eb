/// Metadata keys of this module's log lines. Never payloads, never credentials.
enum LogKeys {
    static let account = "xmpp.account"
    static let peer = "xmpp.peer.jid"
    static let reason = "xmpp.reason"
    static let retryIn = "xmpp.retry.in"
    static let stanzaID = "xmpp.stanza.id"
    static let streamID = "xmpp.stream.id"
    static let namespace = "xmpp.namespace"
    static let count = "xmpp.count"
    static let blockSize = "xmpp.block.size"
    static let budget = "xmpp.budget"
}
