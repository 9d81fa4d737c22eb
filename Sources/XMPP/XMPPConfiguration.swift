/// How a client logs in and what it says about itself.
public struct XMPPConfiguration: Sendable {
    /// Where to connect instead of asking DNS.
    public struct Server: Hashable, Sendable {
        /// Host name or numeric address. The certificate is checked against the account's domain, not against this name.
        public var host: String
        /// TCP port; 5222 is usual, 5223 with direct TLS.
        public var port: UInt16

        /// Makes a server address.
        public init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }
    }

    /// The account, a bare address.
    public var jid: JID
    /// The account's password, asked for at every attempt to log in, on the client's own thread: a file may have changed since. What it
    /// throws becomes the reason of the state `refused`. Kept out of descriptions and logs.
    public var password: @Sendable () throws(XMPPError) -> String
    /// Whether the password may be sent as it is, inside TLS, to a server that offers no better mechanism (SASL PLAIN, RFC 4616): then
    /// the server learns it. Without it SCRAM (RFC 5802) proves the password, and a server that asks for the password gets none.
    public var allowsPlain: Bool
    /// Name of this connection of the account. Keep it stable: a reconnect then replaces the connection that died instead
    /// of standing beside it.
    public var resource: String
    /// Where to connect; nil asks DNS for the domain's SRV record (RFC 6120 §3.2.1).
    public var server: Server?
    /// TLS from the first byte (XEP-0368) instead of STARTTLS. TLS is mandatory either way.
    public var directTLS: Bool
    /// PEM file of certificate authorities to trust beside the system's.
    public var caFile: String?
    /// Category of the identity in disco#info (XEP-0030 §3.1).
    public var identityCategory: String
    /// Type of the identity in disco#info.
    public var identityType: String
    /// Name for people in disco#info; may be empty.
    public var identityName: String
    /// Features in disco#info beside those the client adds for what it does itself.
    public var features: [String]
    /// URI that names the software in entity capabilities (XEP-0115 §4).
    public var capsNode: String
    /// Priority in presence; the default of -1 keeps chat messages to the account away from a device (RFC 6121 §4.7.2.3).
    public var priority: Int8
    /// Name and version answered to XEP-0092 requests.
    public var software: (name: String, version: String)
    /// Bounds on what others may make the client do.
    public var limits: XMPPLimits

    /// How names become addresses, where ``server`` says where to connect.
    var lookUp: ServerAddresses.LookUp = ServerAddresses.lookUp

    /// Makes a configuration for an account.
    public init(jid: JID, password: String, resource: String = "qimesh", server: Server? = nil) {
        self.init(jid: jid, password: { () throws(XMPPError) in password }, resource: resource, server: server)
    }

    /// Makes a configuration for an account whose password is asked for at every login.
    public init(
        jid: JID, password: @escaping @Sendable () throws(XMPPError) -> String, resource: String = "qimesh", server: Server? = nil
    ) {
        self.jid = jid.bare
        self.password = password
        allowsPlain = false
        self.resource = resource
        self.server = server
        directTLS = false
        caFile = nil
        identityCategory = "client"
        identityType = "bot"
        identityName = ""
        features = []
        capsNode = "urn:qimesh:node"
        priority = -1
        software = ("QiMesh", "0")
        limits = XMPPLimits()
    }
}

extension XMPPConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The account and where it connects; never the password.
    public var description: String {
        "\(jid)/\(resource)" + (server.map { " at \($0.host):\($0.port)" } ?? "")
    }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// Nothing to reflect, so that `dump` does not print the password.
    public var customMirror: Mirror { Mirror(self, children: ["account": description]) }
}
