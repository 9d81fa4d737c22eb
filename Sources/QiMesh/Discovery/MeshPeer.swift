import Foundation
import XMPP

/// A device of the mesh as this node knows it: a contact, its presence and what it announces.
struct MeshPeer: Sendable {
    enum State: String, Sendable {
        case online, offline
        /// It asks for our approval.
        case asks
        /// We asked, and it has not answered.
        case invited
        /// It is online, and its key is not the one we know.
        case refused
    }

    let jid: JID
    var name: String
    var state: State
    var model = ""
    var services = -1
    var resource = ""
    var subscription = "none"
    var lastSeen: Date?
    var note = ""
}
