/// Who the owner has let in. In the file of the keys, so that a device is let in, or ended, with its key or not at all.
extension TrustStore {
    /// A device, if that account of ours has it as a contact.
    func contact(_ jid: String, of account: String) throws(MeshError) -> Contact? {
        try reading { $0.contacts.contact(jid, of: account) }
    }

    /// The contacts of an account of ours, ordered by address.
    func contacts(of account: String) throws(MeshError) -> [Contact] { try reading { $0.contacts.contacts(of: account) } }

    /// The contact that the owner calls `name`.
    func contact(named name: String, of account: String) throws(MeshError) -> Contact? {
        try reading { $0.contacts.named(name, of: account) }
    }

    /// The device that is called so at any account of ours, unless it is that one.
    func holder(of name: String, otherThan jid: String?) throws(MeshError) -> String? {
        try reading { $0.contacts.holder(of: name, otherThan: jid) }
    }

    /// What is known about `key` when `jid` shows it with a token, which lets in what was revoked. Nothing is written.
    func checkToken(jid: String, key: KeyFingerprint) throws(MeshError) -> TrustVerdict {
        try reading { $0.verdict(jid: jid, key: key, isReadmitted: true) }
    }

    /// The owner's word. See ``TrustTable/admit(_:of:name:by:at:)``.
    @discardableResult
    func admit(_ jid: String, of account: String, name: String?, by admission: Contact.Admission) throws(MeshError) -> Admitted {
        try changing { (table, now) throws(MeshError) in
            try table.word(jid, of: account, name: name, by: admission, at: now)
        }
    }

    /// A token was proved: the device is let in with that key, or not at all.
    @discardableResult
    func pair(_ jid: String, of account: String, name: String?, key: KeyFingerprint) throws(MeshError) -> Admitted {
        try changing { (table, now) throws(MeshError) in
            var word = try table.word(jid, of: account, name: name, by: .paired, at: now)
            word.isNewKey = try table.pin(jid: jid, key: key, at: now)
            return word
        }
    }

    /// Puts back what was before a word that came to nothing. See ``TrustTable/takeBack(_:)``.
    func takeBack(_ word: Admitted) throws(MeshError) -> Bool {
        try changing { (table, _) throws(MeshError) in table.takeBack(word) }
    }

    /// Ends a contact. Its key stays pinned: if the owner lets it in again, it is the same device.
    /// - Returns: whether it was one.
    @discardableResult
    func removeContact(_ jid: String, of account: String) throws(MeshError) -> Bool {
        guard try contact(jid, of: account) != nil else { return false }
        return try changing { (table, _) throws(MeshError) in table.contacts.remove(jid, of: account) }
    }
}
