import Foundation

/// The pins as a value: every rule of ``TrustStore`` without file, lock or clock.
///
/// Invariants: a JID has at most one key, a key at most one JID.
struct TrustTable: Equatable, Sendable {
    /// More pins than any roster; a bound for what contacts can make us keep.
    static let entryLimit = 4_096
    /// Refusals kept; the oldest goes first.
    static let refusalLimit = 256
    /// Revocations kept; the oldest goes first.
    static let revocationLimit = 4_096

    private var entries: [String: TrustEntry] = [:]
    private var owners: [KeyFingerprint: String] = [:]
    private var refusals: [String: RefusedKey] = [:]
    /// JIDs that stay out whatever key they show, and whatever a server says of the contact list.
    private(set) var revocations: [String: Date] = [:]

    init() {}

    var sortedEntries: [TrustEntry] { entries.values.sorted { $0.jid < $1.jid } }
    var sortedRefusals: [RefusedKey] { refusals.values.sorted { $0.jid < $1.jid } }

    func entry(jid: String) -> TrustEntry? { entries[jid] }
    func refused(jid: String) -> RefusedKey? { refusals[jid] }

    func verdict(jid: String, key: KeyFingerprint) -> TrustVerdict {
        if revocations[jid] != nil { return .revoked }
        // The JID's own pin first: who has one is told of the change, whosever the new key is.
        if let entry = entries[jid] { return entry.key == key ? .pinned : .changed(old: entry.key) }
        if let other = owners[key] { return .keyBelongsTo(jid: other) }
        return .new
    }

    mutating func pin(jid: String, key: KeyFingerprint, at date: Date) throws(MeshError) {
        if let refusal = verdict(jid: jid, key: key).refusal(jid: jid, key: key) { throw refusal }
        if var entry = entries[jid] {
            // The clock of a robot may have been set back since.
            entry.lastSeen = max(date, entry.lastSeen)
            entries[jid] = entry
        } else {
            try insert(TrustEntry(jid: jid, key: key, firstSeen: date, lastSeen: date))
        }
        refusals[jid] = nil
    }

    /// Forgets the key, and takes no other until the owner says so.
    /// - Returns: whether a key was pinned.
    mutating func revoke(jid: String, at date: Date) -> Bool {
        let wasPinned = entries[jid] != nil
        remove(jid: jid)
        revocations[jid] = date
        while revocations.count > Self.revocationLimit {
            guard let oldest = revocations.min(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key else { break }
            revocations[oldest] = nil
        }
        return wasPinned
    }

    /// The owner lets a revoked JID in again: the next key it shows will be pinned.
    mutating func readmit(jid: String) { revocations[jid] = nil }

    mutating func replace(jid: String, key: KeyFingerprint, at date: Date) throws(MeshError) {
        if let other = owners[key], other != jid, let refusal = TrustVerdict.keyBelongsTo(jid: other).refusal(jid: jid, key: key)
        {
            throw refusal
        }
        revocations[jid] = nil
        if entries[jid]?.key != key {
            remove(jid: jid)
            try insert(TrustEntry(jid: jid, key: key, firstSeen: date, lastSeen: date))
        }
        refusals[jid] = nil
    }

    @discardableResult
    mutating func remove(jid: String) -> Bool {
        let refusal = refusals.removeValue(forKey: jid)
        let revocation = revocations.removeValue(forKey: jid)
        guard let entry = entries.removeValue(forKey: jid) else {
            return refusal != nil || revocation != nil
        }
        owners[entry.key] = nil
        return true
    }

    mutating func noteRefused(jid: String, key: KeyFingerprint, at date: Date) {
        refusals[jid] = RefusedKey(jid: jid, key: key, date: date)
        while refusals.count > Self.refusalLimit {
            guard let oldest = refusals.values.min(by: { ($0.date, $0.jid) < ($1.date, $1.jid) }) else { return }
            refusals[oldest.jid] = nil
        }
    }

    /// Adds a pin of a JID and a key of which neither has one.
    mutating func insert(_ entry: TrustEntry) throws(MeshError) {
        guard entries.count < Self.entryLimit else {
            throw MeshError(
                .trust, "\(Self.entryLimit) keys are pinned, which is the most there can be", hint: "qimesh trust JID --forget")
        }
        guard entries[entry.jid] == nil, owners[entry.key] == nil else {
            throw MeshError(.trust, "\(entry.jid) or its key \(entry.key) is pinned twice")
        }
        entries[entry.jid] = entry
        owners[entry.key] = entry.jid
    }
}
