public import Foundation
import Synchronization

/// The one home of what the owner has said about devices: who is let in, and which key belongs to which JID. A key is pinned at first
/// contact and never changed without a person's word.
///
/// Kept in one JSON file, 0600, replaced atomically. Several processes may use the same file (the node and `qimesh trust`): every
/// change is made to the file's present content under a lock, and a file changed by another process is read again before it is
/// asked.
///
/// JIDs are bare and prepared by the caller (RFC 7622); they are compared as they are given. Every method examines the file, and
/// those that change something write it through to the disk: they block the calling thread for milliseconds, on a slow memory
/// card for longer.
public final class TrustStore: Sendable {
    /// Where the pins are kept.
    public let path: String

    private struct State {
        var table = TrustTable()
        /// What the table was read from; `nil` while there is no file.
        var version: FileStatus.Version?
        /// Whether the file is of a version without contacts.
        var isWithoutContacts = false
        var refused = RefusedKeys()
    }

    private let state: Mutex<State>
    /// Held while the file is changed, so that questions need not wait for the disk.
    private let changes = Mutex(())
    private let now: @Sendable () -> Date
    /// The largest file that is read: 4 096 devices at their longest fit, and as many contacts and revocations.
    private static let sizeLimit = 64 << 20

    /// Opens the store; a missing file is an empty store, and is made at the first pin.
    /// - Parameters:
    ///   - path: the file; its directory must exist and be private.
    ///   - now: the clock behind "first seen" and "last seen".
    /// - Throws: `trust` when the file cannot be read, can be changed by others or is damaged. It is never replaced by an empty
    ///   one.
    public init(file path: String, now: @escaping @Sendable () -> Date = { Date() }) throws(MeshError) {
        self.path = path
        self.now = now
        var state = State()
        try Self.refresh(&state, path: path)
        self.state = Mutex(state)
    }

    /// What is known about `key` when `jid` shows it. Nothing is written. The refused keys of devices that are known here are remembered
    /// until the program ends, so that ``replace(jid:key:)`` can be offered them.
    /// - Throws: `trust` when the file was damaged meanwhile: who cannot be checked is not let in.
    public func check(jid: String, key: KeyFingerprint) throws(MeshError) -> TrustVerdict {
        let date = now()
        return try state.withLock { (state) throws(MeshError) -> TrustVerdict in
            try Self.refresh(&state, path: path)
            let verdict = state.table.verdict(jid: jid, key: key)
            switch verdict {
            case .pinned, .new, .revoked, .keyRevoked: break
            case .changed, .keyBelongsTo:
                if state.table.isKnown(jid: jid) { state.refused.note(jid: jid, key: key, at: date) }
            }
            return verdict
        }
    }

    /// Binds `key` to `jid` for good, or notes that the pinned key was seen again. Call it once the peer has answered inside TLS.
    /// - Returns: whether the key is new here: the first contact, which the caller writes down.
    /// - Throws: `trust` when `jid` has another key or `key` another JID, as the error of ``TrustVerdict/refusal(jid:key:)``
    ///   says, or when the file cannot be written.
    @discardableResult
    public func pin(jid: String, key: KeyFingerprint) throws(MeshError) -> Bool {
        // "Last seen" is kept to the hour: a device that reconnects all day must not rewrite the file each time.
        let fresh = try reading { (table: TrustTable) in
            table.entry(jid: jid).map { $0.key == key && now().timeIntervalSince($0.lastSeen) < 3_600 } ?? false
        }
        let isNew = try fresh ? false : changing { (table, now) throws(MeshError) in try table.pin(jid: jid, key: key, at: now) }
        forgetRefused(jid)
        return isNew
    }

    /// Puts `key` in the place of the one pinned to `jid`: a person compared the fingerprints (`qimesh trust`).
    /// - Throws: `trust` when `key` is pinned to another JID, which must be removed first, or when the file cannot be written.
    public func replace(jid: String, key: KeyFingerprint) throws(MeshError) {
        try changing { (table, now) throws(MeshError) in try table.replace(jid: jid, key: key, at: now) }
        forgetRefused(jid)
    }

    /// Forgets the key of `jid` and what was refused for it. The next key it shows will be pinned.
    /// - Returns: whether anything was known.
    @discardableResult
    public func remove(jid: String) throws(MeshError) -> Bool {
        let wasKnown = try changing { (table, _) throws(MeshError) in table.remove(jid: jid) }
        return forgetRefused(jid) || wasKnown
    }

    /// Ends all access of `jid`: it is no contact any more, its key is forgotten and refused under every other address, and every key
    /// it shows is refused, until ``readmit(jid:)``, ``replace(jid:key:)`` or ``remove(jid:)``.
    /// - Returns: whether a key was pinned.
    @discardableResult
    public func revoke(jid: String) throws(MeshError) -> Bool {
        let wasPinned = try changing { (table, now) throws(MeshError) in table.revoke(jid: jid, at: now) }
        forgetRefused(jid)
        return wasPinned
    }

    /// Lets a revoked JID in again; the next key it shows will be pinned. Nothing happens to others.
    public func readmit(jid: String) throws(MeshError) {
        guard try isRevoked(jid: jid) else { return }
        try changing { (table, _) throws(MeshError) in table.readmit(jid: jid) }
    }

    /// Whether the owner has ended all access of `jid`.
    public func isRevoked(jid: String) throws(MeshError) -> Bool { try reading { $0.revocations[jid] != nil } }

    /// All pins, ordered by JID.
    public func entries() throws(MeshError) -> [TrustEntry] {
        try reading { $0.sortedEntries }
    }

    /// The pin of one JID.
    public func entry(jid: String) throws(MeshError) -> TrustEntry? {
        try reading { $0.entry(jid: jid) }
    }

    /// The last key that was refused for `jid` since this program started: what `qimesh trust JID` shows before it asks.
    public func refused(jid: String) throws(MeshError) -> RefusedKey? {
        try state.withLock { (state) throws(MeshError) -> RefusedKey? in
            try Self.refresh(&state, path: path)
            return state.refused[jid]
        }
    }

    /// Whether the file was written by a version that took its contacts from the server, and nothing has been said since.
    var isWithoutContacts: Bool { state.withLock { $0.isWithoutContacts } }

    @discardableResult
    private func forgetRefused(_ jid: String) -> Bool { state.withLock { $0.refused.remove(jid: jid) } }

    func reading<Result: Sendable>(_ body: (TrustTable) -> Result) throws(MeshError) -> Result {
        try state.withLock { (state) throws(MeshError) -> Result in
            try Self.refresh(&state, path: path)
            return body(state.table)
        }
    }

    func changing<Result: Sendable>(
        _ body: (inout TrustTable, Date) throws(MeshError) -> Result
    ) throws(MeshError) -> Result {
        // To the second, as the file has it: what was read again is compared with what was given.
        let date = Date(timeIntervalSince1970: now().timeIntervalSince1970.rounded(.down))
        return try changes.withLock { (_) throws(MeshError) -> Result in
            try PrivateFile.exclusively(path + ".lock", code: .trust) { () throws(MeshError) -> Result in
                let before = try reading { $0 }
                var table = before
                let result = try body(&table, date)
                if table != before {
                    try PrivateFile.replace(path, with: TrustFile.encode(table), code: .trust)
                    // Who asks between these two lines reads the file again.
                    state.withLock { ($0.table, $0.version, $0.isWithoutContacts) = (table, FileStatus(path: path)?.version, false) }
                }
                return result
            }
        }
    }

    /// Reads the file again if it is not the one the table came from.
    private static func refresh(_ state: inout State, path: String) throws(MeshError) {
        let version = FileStatus(path: path)?.version
        if let version, version == state.version { return }
        guard let bytes = try PrivateFile.read(path, limit: sizeLimit, refusing: .writable, code: .trust) else {
            guard state.version == nil else {
                throw MeshError(
                    .trust, "\(path) was removed while in use, so no peer can be recognised",
                    hint: "put it back; or restart the node to begin with no pinned keys")
            }
            return
        }
        let file = try TrustFile.decode(bytes, path: path)
        (state.table, state.version, state.isWithoutContacts) = (file.table, version, file.version == 1)
    }
}
