public import Logging

extension Mesh {
    /// How a program joins, beside account and password.
    public struct Options: Sendable {
        /// What others are shown as the device's name; nil: the account's.
        public var name: String?
        /// Make and version, shown to others.
        public var model: String?
        /// The resource to log in with. Two programs of one account need two, and only one of them is reached by others.
        public var resource = "qimesh-library"
        /// The server, `HOST:PORT`; nil asks DNS for the account's domain.
        public var server: String?
        /// TLS from the first byte instead of STARTTLS.
        public var directTLS = false
        /// A PEM file with authorities to trust beside the system's.
        public var caFile: String?
        /// Whose requests to be a contact are taken without asking: `op@lab.example`, `*@lab.example`.
        public var accept: [String] = []
        /// Where this device's key and the keys of its peers are kept; nil: where `qimesh up` of this user has them, so that both
        /// are one device.
        public var stateDirectory: String?
        /// For what happens in the background.
        public var logger = Logger(label: "qimesh.mesh")

        /// The defaults.
        public init() {}

        /// The account these options describe.
        func account(_ jid: String) throws(MeshError) -> MeshConfiguration.Account {
            var account = MeshConfiguration.Account(jid: jid)
            account.resource = resource
            account.directTLS = directTLS
            account.caFile = caFile
            if let server {
                guard let address = HostPort(server) else {
                    throw MeshError(.configuration, "\"\(server)\" is not a server of the form HOST:PORT")
                }
                account.server = address
            }
            for pattern in accept {
                guard let glob = JIDGlob(pattern) else {
                    throw MeshError(.configuration, "\"\(pattern)\" is not a pattern such as op@lab.example or *@lab.example")
                }
                account.accept.append(glob)
            }
            return account
        }
    }
}
