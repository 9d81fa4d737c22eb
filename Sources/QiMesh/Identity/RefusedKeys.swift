import Foundation

/// The keys that were refused, as a value. In memory only: what a peer shows causes no write to the disk.
struct RefusedKeys: Equatable, Sendable {
    /// Refusals kept; the oldest goes first.
    static let limit = 256

    private var refusals: [String: RefusedKey] = [:]

    var count: Int { refusals.count }

    subscript(jid: String) -> RefusedKey? { refusals[jid] }

    /// The last key counts; shown again, it keeps its date.
    mutating func note(jid: String, key: KeyFingerprint, at date: Date) {
        if refusals[jid]?.key == key { return }
        refusals[jid] = RefusedKey(jid: jid, key: key, date: date)
        while refusals.count > Self.limit {
            guard let oldest = refusals.values.min(by: { ($0.date, $0.jid) < ($1.date, $1.jid) }) else { return }
            refusals[oldest.jid] = nil
        }
    }

    /// - Returns: whether there was one.
    @discardableResult
    mutating func remove(jid: String) -> Bool { refusals.removeValue(forKey: jid) != nil }
}
