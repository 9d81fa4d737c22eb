import Foundation

/// What the owner's word about a device has changed, so that it can be taken back.
struct Admitted: Equatable, Sendable {
    /// The contact as the word made it.
    var contact: Contact
    /// The contact that it was before; nil for none.
    var formerContact: Contact?
    /// The revocation that the word ended; nil for none.
    var formerRevocation: TrustTable.Revocation?
    /// Whether a key was pinned with it that was new here.
    var isNewKey = false

    /// Whether it says anything new.
    var isNews: Bool {
        guard let formerContact else { return true }
        return (formerContact.name, formerContact.admission) != (contact.name, contact.admission)
    }
}

extension TrustTable {
    /// Lets a device in as ``admit(_:of:name:by:at:)``, and says what was before.
    mutating func word(
        _ jid: String, of account: String, name: String?, by admission: Contact.Admission, at date: Date
    ) throws(MeshError) -> Admitted {
        let (contact, revocation) = (contacts.contact(jid, of: account), revocations[jid])
        return Admitted(
            contact: try admit(jid, of: account, name: name, by: admission, at: date), formerContact: contact, formerRevocation: revocation)
    }

    /// Puts back what was before a word that came to nothing: contact and revocation. What was said of the device meanwhile stays.
    /// - Returns: whether anything was put back.
    mutating func takeBack(_ word: Admitted) -> Bool {
        let (jid, account) = (word.contact.jid, word.contact.account)
        guard contacts.contact(jid, of: account) == word.contact else { return false }
        contacts.remove(jid, of: account)
        if let former = word.formerContact {
            contacts.restore(former)
        } else if let revocation = word.formerRevocation, !contacts.isKnown(jid) {
            // A key that was pinned by then was pinned by that word.
            remove(jid: jid)
            insert(revocation, of: jid)
        }
        return true
    }
}
