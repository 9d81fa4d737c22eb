import Foundation

extension MeshConfiguration {
    /// One XMPP account of the device.
    public struct Account: Hashable, Sendable {
        /// The bare JID, as written.
        public var jid: String
        /// The absolute path of the file with the password; `nil` takes ``PasswordSource/variable``.
        public var passwordFile: String?
        /// The resource to bind; the same after every reconnection, so that a dead session is replaced and not joined by a
        /// second.
        public var resource = "qimesh"
        /// The server to connect to; `nil` asks DNS for the domain of the JID.
        public var server: HostPort?
        /// TLS from the first byte instead of STARTTLS (XEP-0368).
        public var directTLS = false
        /// Whether the password may be shown to a server that offers no other way to log in (SASL PLAIN), inside TLS.
        public var allowsPlain = false
        /// The absolute path of a PEM file with authorities to trust beside the system's.
        public var caFile: String?
        /// Whose subscription requests are taken without asking.
        public var accept: [JIDGlob] = []

        /// An account with all defaults.
        public init(jid: String) { self.jid = jid }
    }
}

extension MeshConfiguration.Account {
    private static let authorityLimit = 4 << 20

    /// Checks who may change the files that say which servers are good. A file that is missing is told by the login.
    ///
    /// - Throws: `configuration` with the `chmod` or `chown` that helps.
    func checkFiles() throws(MeshError) {
        guard let caFile else { return }
        _ = try PrivateFile.read(caFile, limit: Self.authorityLimit, refusing: .writable, code: .configuration)
    }
}

extension MeshConfiguration.Account: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case jid
        case passwordFile = "password-file"
        case resource, server
        case directTLS = "direct-tls"
        case allowsPlain = "sasl-plain"
        case caFile = "ca-file"
        case accept
    }

    /// Decodes one item of the section `xmpp`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(
            CodingKeys.self,
            advice: ["password": "passwords are not kept in the configuration: put it into a file and name that as password-file"]
        )
        guard let jid = try container.text(.jid, limit: 2_047) else { throw container.wrong(nil, "an account needs a jid") }
        guard Self.isBareJID(jid) else {
            let hint = jid.contains("/") ? "; the part after the / belongs into resource" : ""
            throw container.wrong(.jid, "\"\(jid)\" is not an account of the form name@server\(hint)")
        }
        self.init(jid: jid)
        passwordFile = try container.path(.passwordFile)
        caFile = try container.path(.caFile)
        if let resource = try container.text(.resource, limit: 1_023) { self.resource = resource }
        if let server = try container.text(.server, limit: 300) {
            guard let address = HostPort(server) else {
                throw container.wrong(.server, "\"\(server)\" is not of the form HOST:PORT")
            }
            self.server = address
        }
        directTLS = try container.decodeIfPresent(Bool.self, forKey: .directTLS) ?? directTLS
        allowsPlain = try container.decodeIfPresent(Bool.self, forKey: .allowsPlain) ?? allowsPlain
        for (index, pattern) in (try container.decodeIfPresent([String].self, forKey: .accept) ?? []).enumerated() {
            guard let glob = JIDGlob(pattern) else {
                throw container.wrong(
                    .accept, index: index,
                    "\"\(pattern)\" is not a pattern such as op@lab.example, *@lab.example or *@*.lab.example")
            }
            accept.append(glob)
        }
    }

    /// The shape only; characters are judged when the account logs in (RFC 7622 §3).
    private static func isBareJID(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty && $0.utf8.count <= 1_023 }
            && !text.utf8.contains { $0 <= 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "/") }
    }
}
