/// XML namespaces and the specification each belongs to.
public enum Namespaces {
    /// Stanzas of a client stream (RFC 6120 §4.8.2).
    public static let client = "jabber:client"
    /// Conditions of stanza errors (RFC 6120 §8.3).
    public static let stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
    /// Conditions of stream errors (RFC 6120 §4.9).
    public static let streamErrors = "urn:ietf:params:xml:ns:xmpp-streams"
    /// Limits of a stream in its features (XEP-0478).
    public static let streamLimits = "urn:xmpp:stream-limits:0"
    /// Login failures (RFC 6120 §6.5).
    public static let sasl = "urn:ietf:params:xml:ns:xmpp-sasl"
    /// The contact list (RFC 6121 §2).
    public static let roster = "jabber:iq:roster"
    /// What an entity is and can do (XEP-0030 §3).
    public static let discoInfo = "http://jabber.org/protocol/disco#info"
    /// What an entity has (XEP-0030 §4).
    public static let discoItems = "http://jabber.org/protocol/disco#items"
    /// A hash of disco#info inside presence (XEP-0115).
    public static let caps = "http://jabber.org/protocol/caps"
    /// Data forms (XEP-0004).
    public static let dataForms = "jabber:x:data"
    /// Ping (XEP-0199).
    public static let ping = "urn:xmpp:ping"
    /// Software version (XEP-0092).
    public static let version = "jabber:iq:version"
    /// Publish and subscribe (XEP-0060).
    public static let pubsub = "http://jabber.org/protocol/pubsub"
    /// Notifications of publish and subscribe (XEP-0060 §7.1.2).
    public static let pubsubEvent = "http://jabber.org/protocol/pubsub#event"
    /// The form that goes with a publication (XEP-0060 §7.1.5).
    public static let publishOptions = "http://jabber.org/protocol/pubsub#publish-options"
    /// Token of a pre-approved subscription request (XEP-0379).
    public static let preauth = "urn:xmpp:pars:0"
    /// In-band bytestreams (XEP-0047).
    public static let ibb = "http://jabber.org/protocol/ibb"
    /// Session negotiation (XEP-0166).
    public static let jingle = "urn:xmpp:jingle:1"
    /// Conditions of Jingle errors (XEP-0166 §10).
    public static let jingleErrors = "urn:xmpp:jingle:errors:1"
    /// In-band bytestreams as a Jingle transport (XEP-0261).
    public static let jingleIBB = "urn:xmpp:jingle:transports:ibb:1"
    /// SOCKS5 bytestreams (XEP-0065).
    public static let bytestreams = "http://jabber.org/protocol/bytestreams"
    /// SOCKS5 bytestreams as a Jingle transport (XEP-0260).
    public static let jingleSOCKS5 = "urn:xmpp:jingle:transports:s5b:1"
}
