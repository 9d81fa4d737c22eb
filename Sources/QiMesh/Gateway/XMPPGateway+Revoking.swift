import Logging
import XMPP

/// Ending all access of a device, and letting it in again.
extension XMPPGateway {
    /// Whether the owner has ended all access of an account. One that cannot be looked up is not let in.
    func isRevoked(_ jid: JID) -> Bool {
        do throws(MeshError) {
            return try trust.isRevoked(jid: "\(jid.bare)")
        } catch {
            logger.error("the pinned keys cannot be read", metadata: ["error": "\(error)"])
            return true
        }
    }

    /// Whether the account is a contact, stands in the server's list, or asks to be one.
    func knows(_ jid: JID) -> Bool { contacts.isContact(jid) || isListed(jid) || asks(jid) }

    func isListed(_ jid: JID) -> Bool { client.roster().contains { $0.jid == jid.bare } }

    func asks(_ jid: JID) -> Bool { client.pendingSubscriptionRequests().contains { $0.from == jid.bare } }
}
