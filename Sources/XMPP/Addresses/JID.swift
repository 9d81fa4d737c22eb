/// An XMPP address: `node@domain/resource`, of which only the domain is always there (RFC 7622 §3).
///
/// A value is prepared when it is made (`JID+Preparation.swift`): node and domain are lower case, every part is at most
/// 1023 bytes of UTF-8, and characters the RFC forbids are refused. Swift compares strings by canonical equivalence, so two
/// spellings that differ only in Unicode normalisation are the same address.
public struct JID: Hashable, Sendable, CustomStringConvertible {
    /// The account's name on its server, lower case; nil for the address of a server.
    public let node: String?
    /// The server's name, lower case, without a final dot; never empty.
    public let domain: String
    /// The name of one connection of the account, case kept; nil in a bare address.
    public let resource: String?

    /// Parses an address; nil when it breaks a rule of RFC 7622 §3.
    public init?(_ text: String) {
        // The first slash ends the address proper, so a resource may hold slashes and at-signs (RFC 7622 §3.2).
        let slash = text.utf8.firstIndex(of: UInt8(ascii: "/"))
        let address = slash.map { text[..<$0] } ?? text[...]
        var resource: String?
        if let slash {
            guard let prepared = JID.preparedResource(text[text.utf8.index(after: slash)...]) else { return nil }
            resource = prepared
        }
        var node: String?
        var host = address
        if let at = address.utf8.firstIndex(of: UInt8(ascii: "@")) {
            guard let prepared = JID.preparedNode(address[..<at]) else { return nil }
            node = prepared
            host = address[address.utf8.index(after: at)...]
        }
        guard let domain = JID.preparedDomain(host) else { return nil }
        self.init(preparedNode: node, domain: domain, resource: resource)
    }

    /// Puts an address together from its parts; nil when one of them breaks a rule of RFC 7622 §3.
    public init?(node: String?, domain: String, resource: String? = nil) {
        var preparedNode: String?
        if let node {
            guard let prepared = JID.preparedNode(node[...]) else { return nil }
            preparedNode = prepared
        }
        var preparedResource: String?
        if let resource {
            guard let prepared = JID.preparedResource(resource[...]) else { return nil }
            preparedResource = prepared
        }
        guard let prepared = JID.preparedDomain(domain[...]) else { return nil }
        self.init(preparedNode: preparedNode, domain: prepared, resource: preparedResource)
    }

    private init(preparedNode: String?, domain: String, resource: String?) {
        self.node = preparedNode
        self.domain = domain
        self.resource = resource
    }

    /// The same address without its resource: the account.
    public var bare: JID {
        resource == nil ? self : JID(preparedNode: node, domain: domain, resource: nil)
    }

    /// True when there is no resource.
    public var isBare: Bool { resource == nil }

    /// The server of this address.
    public var server: JID { JID(preparedNode: nil, domain: domain, resource: nil) }

    /// The same account with that resource; nil when the resource is empty, too long or holds forbidden characters.
    public func with(resource: String) -> JID? {
        guard let prepared = JID.preparedResource(resource[...]) else { return nil }
        return JID(preparedNode: node, domain: domain, resource: prepared)
    }

    /// The address as it is written in a stanza.
    public var description: String {
        var text = ""
        if let node {
            text += node
            text += "@"
        }
        text += domain
        if let resource {
            text += "/"
            text += resource
        }
        return text
    }
}
