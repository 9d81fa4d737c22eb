import Foundation

/// What the owner has said about devices, as a value: every rule of ``TrustStore`` without file, lock or clock.
///
/// Invariants: a JID has at most one key, a key at most one JID; a JID that is revoked has no key and is no contact.
struct TrustTable: Equatable, Sendable {
    /// A device whose access the owner has ended.
    struct Revocation: Equatable, Sendable {
        var date: Date
        /// The key it had; nil when none was pinned.
        var key: KeyFingerprint?
    }

    /// More pins than any roster; a bound for what contacts can make us keep.
    static let entryLimit = 4_096
    /// Revocations kept; the oldest goes first.
    static let revocationLimit = 4_096

    private var entries: [String: TrustEntry] = [:]
    private var owners: [KeyFingerprint: String] = [:]
    /// JIDs that stay out whatever key they show, and whatever a server says of the contact list.
    private(set) var revocations: [String: Revocation] = [:]
    private var revokedKeys: [KeyFingerprint: String] = [:]
    /// Who is let in at all.
    var contacts = ContactTable()

    init() {}

    var sortedEntries: [TrustEntry] { entries.values.sorted { $0.jid < $1.jid } }

    func entry(jid: String) -> TrustEntry? { entries[jid] }

    /// Whether the JID is one of ours: a contact, or one whose key is pinned.
    func isKnown(jid: String) -> Bool { entries[jid] != nil || contacts.isKnown(jid) }

    /// - Parameter isReadmitted: asks what would be said if the JID were let in again.
    func verdict(jid: String, key: KeyFingerprint, isReadmitted: Bool = false) -> TrustVerdict {
        if !isReadmitted, revocations[jid] != nil { return .revoked }
        // The JID's own pin first: who has one is told of the change, whosever the new key is.
        if let entry = entries[jid] { return entry.key == key ? .pinned : .changed(old: entry.key) }
        if let other = revokedKeys[key], other != jid { return .keyRevoked(jid: other) }
        if let other = owners[key] { return .keyBelongsTo(jid: other) }
        return .new
    }

    /// - Returns: whether the key is new here.
    @discardableResult
    mutating func pin(jid: String, key: KeyFingerprint, at date: Date) throws(MeshError) -> Bool {
        if let refusal = verdict(jid: jid, key: key).refusal(jid: jid, key: key) { throw refusal }
        guard var entry = entries[jid] else {
            try insert(TrustEntry(jid: jid, key: key, firstSeen: date, lastSeen: date))
            return true
        }
        // The clock of a robot may have been set back since.
        entry.lastSeen = max(date, entry.lastSeen)
        entries[jid] = entry
        return false
    }

    /// Forgets the key and the contact, and takes no key of this JID and this key of no JID until the owner says so.
    /// - Returns: whether a key was pinned.
    @discardableResult
    mutating func revoke(jid: String, at date: Date) -> Bool {
        let pinned = entries[jid]?.key
        let key = pinned ?? revocations[jid]?.key
        remove(jid: jid)
        contacts.remove(jid)
        insert(Revocation(date: date, key: key), of: jid)
        return pinned != nil
    }

    /// Adds a revocation that was written down, of a JID without a key.
    mutating func insert(_ revocation: Revocation, of jid: String) {
        readmit(jid: jid)
        revocations[jid] = revocation
        if let key = revocation.key { revokedKeys[key] = jid }
        while revocations.count > Self.revocationLimit {
            guard let oldest = revocations.min(by: { ($0.value.date, $0.key) < ($1.value.date, $1.key) })?.key else { break }
            readmit(jid: oldest)
        }
    }

    /// The owner lets a revoked JID in again: the next key it shows will be pinned.
    mutating func readmit(jid: String) {
        guard let revocation = revocations.removeValue(forKey: jid) else { return }
        if let key = revocation.key, revokedKeys[key] == jid { revokedKeys[key] = nil }
    }

    /// Lets a device in as ``ContactTable/admit(_:of:name:by:at:)``. An earlier revocation is over; a pattern alone does not end one.
    @discardableResult
    mutating func admit(
        _ jid: String, of account: String, name: String?, by admission: Contact.Admission, at date: Date
    ) throws(MeshError) -> Contact {
        if admission == .accept, revocations[jid] != nil { throw MeshError(.denied, "\(jid) was revoked on this device") }
        let contact = try contacts.admit(jid, of: account, name: name, by: admission, at: date)
        readmit(jid: jid)
        return contact
    }

    mutating func replace(jid: String, key: KeyFingerprint, at date: Date) throws(MeshError) {
        let owner = revokedKeys[key].flatMap { $0 == jid ? nil : TrustVerdict.keyRevoked(jid: $0) }
            ?? owners[key].flatMap { $0 == jid ? nil : TrustVerdict.keyBelongsTo(jid: $0) }
        if let refusal = owner?.refusal(jid: jid, key: key) { throw refusal }
        readmit(jid: jid)
        if entries[jid]?.key != key {
            remove(jid: jid)
            try insert(TrustEntry(jid: jid, key: key, firstSeen: date, lastSeen: date))
        }
    }

    /// Forgets the key and the revocation. A contact stays one.
    /// - Returns: whether there was any.
    @discardableResult
    mutating func remove(jid: String) -> Bool {
        let wasRevoked = revocations[jid] != nil
        readmit(jid: jid)
        guard let entry = entries.removeValue(forKey: jid) else { return wasRevoked }
        owners[entry.key] = nil
        return true
    }

    /// Adds a pin of a JID and a key of which neither has one.
    mutating func insert(_ entry: TrustEntry) throws(MeshError) {
        guard entries.count < Self.entryLimit else {
            throw MeshError(
                .trust, "\(Self.entryLimit) keys are pinned, which is the most there can be",
                hint: "qimesh trust; then, for one that is not needed: qimesh trust JID --forget")
        }
        guard entries[entry.jid] == nil, owners[entry.key] == nil else {
            throw MeshError(.trust, "\(entry.jid) or its key \(entry.key) is pinned twice")
        }
        entries[entry.jid] = entry
        owners[entry.key] = entry.jid
    }
}
