import Foundation

/// Who the owner has let in, as a value: without file, lock or clock.
///
/// Invariants: an account has a device once, and a name for one device only.
struct ContactTable: Equatable, Sendable {
    /// The most contacts; a bound for the file.
    static let limit = 4_096
    /// How many of them `accept` may make: accounts of a server are made by others, and the owner's own word needs room.
    static let acceptLimit = 1_024

    /// An account of ours, and an address or a name there.
    private struct Key: Hashable, Comparable {
        var account: String
        var text: String

        init(_ account: String, _ text: String) { (self.account, self.text) = (account, text) }

        static func < (one: Key, other: Key) -> Bool { (one.account, one.text) < (other.account, other.text) }
    }

    private var contacts: [Key: Contact] = [:]
    /// The devices by account and name.
    private var names: [Key: String] = [:]

    /// All contacts, ordered by account and address.
    var sorted: [Contact] { contacts.sorted { $0.key < $1.key }.map(\.value) }

    /// Whether an account of ours has the device as a contact.
    func isKnown(_ jid: String) -> Bool { contacts.keys.contains { $0.text == jid } }

    func contact(_ jid: String, of account: String) -> Contact? { contacts[Key(account, jid)] }

    func contacts(of account: String) -> [Contact] { sorted.filter { $0.account == account } }

    /// The device that the owner calls `name`.
    func named(_ name: String, of account: String) -> Contact? {
        names[Key(account, name)].flatMap { contacts[Key(account, $0)] }
    }

    /// The device that is called so at any account of ours, unless it is that one: commands and calls name no account.
    func holder(of name: String, otherThan jid: String?) -> String? {
        names.filter { $0.key.text == name && $0.value != jid }.min { $0.key < $1.key }?.value
    }

    /// Lets a device in, or says more of one that is.
    ///
    /// - Parameter name: nil leaves the name it has; a new contact then gets the part of its address before the `@`, if that is free
    ///   at all accounts. What `accept` lets in gets none: its address was chosen by others.
    /// - Throws: `usage` for a name that cannot be one or that another device has, `tooLarge`.
    @discardableResult
    mutating func admit(
        _ jid: String, of account: String, name: String?, by admission: Contact.Admission, at date: Date
    ) throws(MeshError) -> Contact {
        let key = Key(account, jid)
        if let name { try check(name, for: jid, of: account) }
        if var known = contacts[key] {
            known.name = name ?? known.name
            // A token proves more than a word, and a word more than a pattern.
            if admission == .paired || (known.admission == .accept && admission != .accept) {
                (known.admission, known.since) = (admission, date)
            }
            put(known)
            return known
        }
        try checkRoom(for: admission)
        var given = name
        if given == nil, admission != .accept, let proposal = ContactName.proposal(for: jid), holder(of: proposal, otherThan: jid) == nil {
            given = proposal
        }
        let contact = Contact(account: account, jid: jid, name: given, admission: admission, since: date)
        put(contact)
        return contact
    }

    /// - Returns: whether it was one.
    @discardableResult
    mutating func remove(_ jid: String, of account: String) -> Bool {
        guard let contact = contacts.removeValue(forKey: Key(account, jid)) else { return false }
        if let name = contact.name { names[Key(account, name)] = nil }
        return true
    }

    /// Ends a device's contact with every account of ours.
    mutating func remove(_ jid: String) {
        for key in contacts.keys.filter({ $0.text == jid }) { remove(jid, of: key.account) }
    }

    /// Adds a contact that was written down.
    mutating func insert(_ contact: Contact) throws(MeshError) {
        guard contacts[Key(contact.account, contact.jid)] == nil else {
            throw MeshError(.trust, "\(contact.jid) is a contact of \(contact.account) twice")
        }
        if let name = contact.name { try check(name, for: contact.jid, of: contact.account) }
        try checkRoom(for: contact.admission)
        put(contact)
    }

    /// Puts back what a contact was. Its name is gone when another device has got it meanwhile.
    mutating func restore(_ contact: Contact) {
        var contact = contact
        if let name = contact.name, let other = named(name, of: contact.account), other.jid != contact.jid { contact.name = nil }
        put(contact)
    }

    private mutating func put(_ contact: Contact) {
        remove(contact.jid, of: contact.account)
        contacts[Key(contact.account, contact.jid)] = contact
        if let name = contact.name { names[Key(contact.account, name)] = contact.jid }
    }

    private func check(_ name: String, for jid: String, of account: String) throws(MeshError) {
        if let refusal = ContactName.refusal(of: name) {
            throw MeshError(.usage, "\"\(name)\" cannot be a name: \(refusal)", hint: "choose another name: --name NAME")
        }
        if let other = named(name, of: account), other.jid != jid {
            throw MeshError(.usage, "\(other.jid) is called \"\(name)\" here already", hint: "choose another name: --name NAME")
        }
    }

    private func checkRoom(for admission: Contact.Admission) throws(MeshError) {
        guard contacts.count < Self.limit else {
            throw MeshError(.tooLarge, "\(Self.limit) devices are contacts, which is the most there can be", hint: "qimesh deny JID")
        }
        guard admission == .accept, contacts.values.count(where: { $0.admission == .accept }) >= Self.acceptLimit else { return }
        throw MeshError(
            .tooLarge, "accept has let in \(Self.acceptLimit) devices, which is the most it can",
            hint: "narrow the patterns below accept in the configuration; or, for one device: qimesh approve JID")
    }
}
