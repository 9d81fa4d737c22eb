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

    /// The owner named this account, so an earlier revocation is over.
    func readmit(_ jid: JID) {
        do throws(MeshError) {
            try trust.readmit(jid: "\(jid.bare)")
        } catch {
            logger.error("a revocation cannot be taken back", metadata: ["xmpp.peer.jid": "\(jid.bare)", "error": "\(error)"])
        }
    }

    /// Whether the account is in the contact list, or asks to be.
    func knows(_ jid: JID) -> Bool {
        client.roster().contains { $0.jid == jid.bare } || client.pendingSubscriptionRequests().contains { $0.from == jid.bare }
    }
}
