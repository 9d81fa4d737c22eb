/// What a QiMesh device announces over XMPP (reference xmpp §6.1).
enum MeshNamespaces {
    /// The application of a Jingle session that carries a tunnel of one bytestream, and the feature that announces it.
    static let tunnel = "urn:qimesh:tunnel:1"
    /// The application of a Jingle session that carries one path of a stream between two devices, and the feature that announces it.
    static let stream = "urn:qimesh:tunnel:2"
    /// The PEP node that says "my services have changed"; the names themselves are in no item, for one item serves all contacts.
    static let services = "urn:qimesh:services:1"
    /// The disco node at which a device says what it is, and the type of the form there.
    static let device = "urn:qimesh:device:1"
    /// The request that proves a pairing token and exchanges keys, and what its proofs are for.
    static let pairing = "urn:qimesh:pair:1"
}
