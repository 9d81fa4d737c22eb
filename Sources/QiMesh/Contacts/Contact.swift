import Foundation

/// A device that this device's owner has let in. The server's contact list makes none and ends none.
struct Contact: Hashable, Sendable {
    /// How the owner said so.
    enum Admission: String, Hashable, Sendable, Codable {
        /// By a pairing token.
        case paired
        /// By `qimesh invite`.
        case invited
        /// By `qimesh approve`.
        case approved
        /// By a pattern below `accept` in the configuration, when the device asked.
        case accept
    }

    /// The bare address of the account of ours that it is a contact of. The word given for one account says nothing to the server of
    /// another.
    var account: String
    /// The bare address of the device's account. Its key is in the ``TrustTable``.
    var jid: String
    /// What the owner calls it; nil for its address.
    var name: String?
    var admission: Admission
    /// When it was let in; to the second.
    var since: Date
}
