public import Foundation
import Synchronization

/// The one home of the rule which key belongs to which JID: pinned at first contact, never changed without a person's word.
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
    }

    private let state: Mutex<State>
    private let now: @Sendable () -> Date
    /// The largest file that is read: 4 096 devices at their longest fit.
    private static let sizeLimit = 32 << 20

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

    /// What is known about `key` when `jid` shows it. Refused keys are remembered, so that ``replace(jid:key:)`` can be offered
    /// them.
    /// - Throws: `trust` when the file was damaged meanwhile: who cannot be checked is not let in.
    public func check(jid: String, key: KeyFingerprint) throws(MeshError) -> TrustVerdict {
        let verdict = try reading { (table: TrustTable) in table.verdict(jid: jid, key: key) }
        switch verdict {
        case .pinned, .new, .revoked:
            break
        case .changed, .keyBelongsTo:
            let known = try reading { (table: TrustTable) in table.refused(jid: jid)?.key }
            // Written only when it is news: a peer that tries again and again must not wear out the disk.
            if known != key { try changing { (table, now) throws(MeshError) in table.noteRefused(jid: jid, key: key, at: now) } }
        }
        return verdict
    }

    /// Binds `key` to `jid` for good, or notes that the pinned key was seen again. Call it once the peer has answered inside TLS.
    /// - Throws: `trust` when `jid` has another key or `key` another JID, as the error of ``TrustVerdict/refusal(jid:key:)``
    ///   says, or when the file cannot be written.
    public func pin(jid: String, key: KeyFingerprint) throws(MeshError) {
        // "Last seen" is kept to the hour: a device that reconnects all day must not rewrite the file each time.
        let fresh = try reading { (table: TrustTable) in
            table.entry(jid: jid).map { $0.key == key && now().timeIntervalSince($0.lastSeen) < 3_600 } ?? false
        }
        if fresh { return }
        try changing { (table, now) throws(MeshError) in try table.pin(jid: jid, key: key, at: now) }
    }

    /// Puts `key` in the place of the one pinned to `jid`: a person compared the fingerprints (`qimesh trust`).
    /// - Throws: `trust` when `key` is pinned to another JID, which must be removed first, or when the file cannot be written.
    public func replace(jid: String, key: KeyFingerprint) throws(MeshError) {
        try changing { (table, now) throws(MeshError) in try table.replace(jid: jid, key: key, at: now) }
    }

    /// Forgets the key of `jid` and what was refused for it. The next key it shows will be pinned.
    /// - Returns: whether anything was known.
    @discardableResult
    public func remove(jid: String) throws(MeshError) -> Bool {
        try changing { (table, _) throws(MeshError) in table.remove(jid: jid) }
    }

    /// Forgets the key of `jid` and refuses every key it shows, until ``readmit(jid:)``, ``replace(jid:key:)`` or ``remove(jid:)``.
    /// - Returns: whether a key was pinned.
    @discardableResult
    public func revoke(jid: String) throws(MeshError) -> Bool {
        try changing { (table, now) throws(MeshError) in table.revoke(jid: jid, at: now) }
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

    /// The last key that was refused for `jid`: what `qimesh trust JID` shows before it asks.
    public func refused(jid: String) throws(MeshError) -> RefusedKey? {
        try reading { $0.refused(jid: jid) }
    }

    private func reading<Result: Sendable>(_ body: (TrustTable) -> Result) throws(MeshError) -> Result {
        try state.withLock { (state) throws(MeshError) -> Result in
            try Self.refresh(&state, path: path)
            return body(state.table)
        }
    }

    private func changing<Result: Sendable>(
        _ body: (inout TrustTable, Date) throws(MeshError) -> Result
    ) throws(MeshError) -> Result {
        let date = now()
        return try state.withLock { (state) throws(MeshError) -> Result in
            try PrivateFile.exclusively(path + ".lock", code: .trust) { () throws(MeshError) -> Result in
                try Self.refresh(&state, path: path)
                var table = state.table
                let result = try body(&table, date)
                if table != state.table {
                    try PrivateFile.replace(path, with: TrustFile.encode(table), code: .trust)
                    state = State(table: table, version: FileStatus(path: path)?.version)
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
        state = State(table: try TrustFile.decode(bytes, path: path), version: version)
    }
}
