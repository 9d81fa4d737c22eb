import Foundation
import XMPP

/// A device of the mesh as this node knows it: a contact with its presence and what it announces, or one that may become a contact.
struct MeshPeer: Sendable {
    enum State: String, Sendable {
        case online, offline
        /// Its server calls it available, and it does not answer.
        case stale
        /// It asks for our approval.
        case asks
        /// We asked, and it has not answered.
        case invited
        /// The server lists it, and the owner has not let it in.
        case unconfirmed
        /// It is a contact, and we ourselves are not connected to our server.
        case unknown
        /// It is there, and its key is not the one we know.
        case refused
    }

    let jid: JID
    var name: String
    var state: State
    var model = ""
    var resource = ""
    var subscription = "none"
    /// How its owner let it in; nil for one that is no contact.
    var admission: Contact.Admission?
    /// When something last came from it, or was said of it by its server.
    var lastSeen: Date?
    /// Of the last question that it answered (XEP-0199).
    var roundTrip: Duration?
    /// How long it has not answered, of one that is stale.
    var staleFor: Duration?
    var note = ""
}
