/// A group as this node uses it.
public struct GroupStatus: Sendable {
    /// One of its devices.
    public struct Member: Sendable {
        /// Its bare JID, or the full one of a program.
        public let address: String
        /// What this node's owner calls it.
        public let name: String
        /// Whether it can be reached now, as far as is known.
        public let isThere: Bool
        /// The way to it now; nil when no tunnel is open, or it has no path.
        public let path: PathKind?
        /// There and back, as measured last over its stream.
        public let roundTrip: Duration?
        /// How it stands, by service: `ready`, `away`, `stopping`, `no such service`; only of services that are in use.
        public let services: [String: String]
        /// Calls of this node that wait for an answer of it.
        public let callsInFlight: Int
        /// Calls of the group's services that it has answered since this node started.
        public let answered: Int
        /// Those that were given up, because it did not answer and they may have run.
        public let lost: Int
        /// Proxies that stay with it.
        public let proxies: Int
    }

    public let name: String
    /// Ordered by name.
    public let members: [Member]
}
