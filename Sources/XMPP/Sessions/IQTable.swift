import NIOCore

/// Requests of ours that wait for their answer (RFC 6120 §8.2.3). A value; what is kept per request is the caller's.
///
/// An id is a random prefix, new for every table, and a number. An answer counts only when it comes from the address that
/// was asked: ids alone could be guessed by anybody.
struct IQTable<Waiter> {
    private struct Entry {
        var expected: JID?
        var deadline: NIODeadline
        var bytes: Int
        var waiter: Waiter
    }

    private let prefix: String
    private let limit: Int
    private var entries: [UInt64: Entry] = [:]
    private var next: UInt64 = 1
    private var earliest: NIODeadline = .distantFuture

    /// `prefix` makes ids unique beyond this table; ASCII without markup.
    init(prefix: String, limit: Int) {
        self.prefix = prefix
        self.limit = limit
    }

    var count: Int { entries.count }

    /// Keeps a request to that address (nil: our own account) whose answer may be `bytes` large where other stanzas may not; nil when
    /// too many wait.
    mutating func add(to address: JID?, deadline: NIODeadline, bytes: Int = 0, _ waiter: Waiter) -> UInt64? {
        guard entries.count < limit else { return nil }
        let number = next
        next += 1
        entries[number] = Entry(expected: address, deadline: deadline, bytes: bytes, waiter: waiter)
        earliest = min(earliest, deadline)
        return number
    }

    /// The id as it is sent.
    func id(_ number: UInt64) -> String { prefix + String(number, radix: 16) }

    /// An answer arrived. `isOwn` says whether its sender may speak for our own account.
    /// - Returns: Who waits for it; nil when nobody does, or not for an answer from that sender.
    mutating func answered(id: String, from sender: JID?, isOwn: Bool) -> Waiter? {
        guard let (number, entry) = entry(id, from: sender, isOwn: isOwn) else { return nil }
        entries[number] = nil
        return entry.waiter
    }

    /// How large the answer with that id, from that sender, may be; 0 when nothing of that kind was asked for.
    func bytesAllowed(id: String, from sender: JID?, isOwn: Bool) -> Int { entry(id, from: sender, isOwn: isOwn)?.1.bytes ?? 0 }

    private func entry(_ id: String, from sender: JID?, isOwn: Bool) -> (UInt64, Entry)? {
        guard id.utf8.starts(with: prefix.utf8),
            let number = UInt64(id.dropFirst(prefix.count), radix: 16), let entry = entries[number],
            entry.expected.map({ $0 == sender }) ?? isOwn
        else { return nil }
        return (number, entry)
    }

    /// Nobody waits any more.
    mutating func remove(_ number: UInt64) -> Waiter? {
        entries.removeValue(forKey: number)?.waiter
    }

    /// Those whose time is over, the oldest first.
    mutating func expired(now: NIODeadline) -> [Waiter] {
        guard now >= earliest else { return [] }
        let over = entries.filter { $0.value.deadline <= now }.sorted { $0.key < $1.key }
        for (number, _) in over { entries[number] = nil }
        earliest = entries.values.map(\.deadline).min() ?? .distantFuture
        return over.map(\.value.waiter)
    }

    /// All of them, the oldest first; the stream ended.
    mutating func removeAll() -> [Waiter] {
        let all = entries.sorted { $0.key < $1.key }.map(\.value.waiter)
        entries = [:]
        earliest = .distantFuture
        return all
    }
}
