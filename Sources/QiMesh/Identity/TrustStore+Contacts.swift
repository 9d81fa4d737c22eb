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

    /// The owner's word. See ``TrustTable/admit(_:of:name:by:at:)``.
    @discardableResult
    func admit(_ jid: String, of account: String, name: String?, by admission: Contact.Admission) throws(MeshError) -> Contact {
        try changing { (table, now) throws(MeshError) in
            try table.admit(jid, of: account, name: name, by: admission, at: now)
        }
    }

    /// A token was proved: the device is let in with that key, or not at all.
    /// - Returns: whether the key is new here.
    func pair(_ jid: String, of account: String, name: String?, key: KeyFingerprint) throws(MeshError) -> Bool {
        try changing { (table, now) throws(MeshError) in
            try table.admit(jid, of: account, name: name, by: .paired, at: now)
            return try table.pin(jid: jid, key: key, at: now)
        }
    }

    /// Ends a contact. Its key stays pinned: if the owner lets it in again, it is the same device.
    /// - Returns: whether it was one.
    @discardableResult
    func removeContact(_ jid: String, of account: String) throws(MeshError) -> Bool {
        guard try contact(jid, of: account) != nil else { return false }
        return try changing { (table, _) throws(MeshError) in table.contacts.remove(jid, of: account) }
    }
}
