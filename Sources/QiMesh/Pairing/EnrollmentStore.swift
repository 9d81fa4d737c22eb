import Foundation
import Synchronization

/// The pairing tokens that were made on this device, kept over restarts in one file, mode 0600, that holds hashes only.
///
/// Only the node writes it. Methods that change something write it through to the disk: they block the calling thread for
/// milliseconds, on a slow memory card for longer.
final class EnrollmentStore: Sendable {
    private let path: String
    private let now: @Sendable () -> Date
    private let table: Mutex<EnrollmentTable>
    /// 64 tokens with all their attempts are 100 kB.
    private static let sizeLimit = 1 << 20

    /// Opens the store; a missing file is an empty store.
    /// - Parameters:
    ///   - path: the file; its directory must exist and be private.
    ///   - now: the clock that tokens live by.
    /// - Throws: `configuration` when the file is damaged or open to others.
    init(file path: String, now: @escaping @Sendable () -> Date = { Date() }) throws(MeshError) {
        self.path = path
        self.now = now
        var enrollments: [Enrollment] = []
        if let bytes = try PrivateFile.read(path, limit: Self.sizeLimit, refusing: .readable, code: .configuration) {
            enrollments = try EnrollmentFile.decode(bytes, path: path)
        }
        table = Mutex(EnrollmentTable(enrollments))
    }

    /// Makes a token for an account.
    /// - Parameter name: what the device that uses it shall be called here; empty for the part of its address before the `@`.
    /// - Throws: `tooLarge` when too many are outstanding, `system` when the file cannot be written: the token is then not valid.
    func enroll(account: String, name: String, lifetime: Duration?) throws(MeshError) -> (PairingToken, Enrollment) {
        let token = PairingToken.random()
        let digits = String(UInt32.random(in: .min ... .max), radix: 16)
        let id = String(repeating: "0", count: 8 - digits.count) + digits
        let seconds = lifetime.map { TimeInterval($0.components.seconds) } ?? EnrollmentTable.lifetime
        let enrollment = try changing { (table, now) throws(MeshError) in
            try table.enroll(token.verifier, id: id, account: account, name: name, lifetime: seconds, at: now)
        }
        return (token, enrollment)
    }

    /// Takes a token back, or with nil all of them. Returns how many waited to be used.
    func cancel(id: String?) throws(MeshError) -> Int {
        try changing { (table, now) throws(MeshError) in table.cancel(id: id, at: now) }
    }

    /// A device was revoked or denied. See ``EnrollmentTable/revoked(jid:at:)``.
    func revoked(jid: String) throws(MeshError) {
        try changing { (table, now) throws(MeshError) in table.revoked(jid: jid, at: now) }
    }

    /// See ``EnrollmentTable/judge(_:from:to:at:)``.
    func judge(
        _ offer: PairingOffer, from jid: String, to own: PairingTranscript.Party
    ) throws(MeshError) -> EnrollmentTable.Verdict {
        try changing { (table, now) throws(MeshError) in table.judge(offer, from: jid, to: own, at: now) }
    }

    /// See ``EnrollmentTable/use(_:by:key:at:)``. On the disk when it returns true, so that a restart cannot make the token new.
    func use(_ id: String, by jid: String, key: KeyFingerprint) throws(MeshError) -> Bool {
        try changing { (table, now) throws(MeshError) in table.use(id, by: jid, key: key, at: now) }
    }

    /// Remembers a refusal that the token itself was no reason for.
    func note(_ reason: PairingRefusal, jid: String, key: KeyFingerprint, of id: String) throws(MeshError) {
        try changing { (table, now) throws(MeshError) in
            table.note(.init(jid: jid, key: key, reason: reason, knewToken: true, date: now), of: id)
        }
    }

    /// Whether a pairing request to that account may be answered at all.
    func isListening(account: String) -> Bool { table.withLock { $0.isListening(account: account, at: now()) } }

    /// Whether a subscription request names a token that waits to be used.
    func expects(handle text: String) -> Bool {
        guard let handle = Base64URL.decode(text, count: PairingToken.length) else { return false }
        return table.withLock { table in
            table.outstanding(at: now()).filter { ConstantTime.areEqual($0.verifier.handle, handle) }.count > 0
        }
    }

    /// All that is remembered, the oldest first, with tries with tokens that were not made here, and the time it is.
    func listing() -> (enrollments: [Enrollment], strangers: [Enrollment.Attempt], now: Date) {
        table.withLock { ($0.enrollments, $0.strangers, now()) }
    }

    private func changing<Result: Sendable>(
        _ body: (inout EnrollmentTable, Date) throws(MeshError) -> Result
    ) throws(MeshError) -> Result {
        try table.withLock { (table) throws(MeshError) -> Result in
            var changed = table
            let result = try body(&changed, now())
            if changed.proved != table.proved {
                try PrivateFile.replace(path, with: EnrollmentFile.encode(changed.enrollments), code: .system)
            }
            table = changed
            return result
        }
    }
}
