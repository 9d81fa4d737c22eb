import Foundation
import XMPP

/// A device of the mesh as this node knows it: a contact with its presence and what it announces, or one that may become a contact.
struct MeshPeer: Sendable {
    enum State: String, Sendable {
        case online, offline
        /// It asks for our approval.
        case asks
        /// We asked, and it has not answered.
        case invited
        /// The server lists it, and the owner has not let it in.
        case unconfirmed
        /// It is a contact, and we ourselves are not connected to our server.
        case unknown
        /// It is online, and its key is not the one we know.
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
    var lastSeen: Date?
    var note = ""
}
