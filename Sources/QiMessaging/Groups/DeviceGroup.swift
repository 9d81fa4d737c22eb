/// Devices that offer the same services, under one name: `vision/Detector` is answered by one of those of `vision` that are there. Who
/// belongs to it is said outside this module.
public struct DeviceGroup: Hashable, Sendable {
    /// A device of a group, or one of several programs of one account.
    public struct Member: Hashable, Sendable {
        /// Its bare JID, or the full one of a program; as ``DevicePaths`` takes it.
        public let address: String
        /// What this node's owner calls it.
        public let name: String
        /// Whether a tunnel to it may be opened now.
        public let isThere: Bool

        public init(address: String, name: String, isThere: Bool) {
            self.address = address
            self.name = name
            self.isThere = isThere
        }
    }

    /// The most members that are used; those behind them in the order of their names are not.
    public static let maximumMembers = 64

    /// What stands before the slash.
    public let name: String
    /// Its members, ordered by name, at most ``maximumMembers``.
    public let members: [Member]
    /// Methods that may run twice, as `Service.method` with `*` for any run of characters.
    public let idempotent: [NameGlob]

    public init(name: String, members: [Member], idempotent: [NameGlob] = []) {
        self.name = name
        self.members = Array(members.sorted { ($0.name, $0.address) < ($1.name, $1.address) }.prefix(Self.maximumMembers))
        self.idempotent = idempotent
    }
}
