/// Subscription requests that nobody has decided yet, as a value. Bounded in all and for each domain; when there is no room, the oldest
/// request of the domain that has the most goes, so that accounts of one server, of which there is no end, push out each other only. A
/// server delivers what went again at the next login.
struct PendingRequests: Sendable {
    private struct Entry {
        var request: SubscriptionRequest
        /// Counts the requests: the oldest has the least.
        var number: UInt64
    }

    private var entries: [JID: Entry] = [:]
    private var nextNumber: UInt64 = 0
    private let limit: Int
    private let domainLimit: Int

    init(limit: Int, domainLimit: Int) {
        self.limit = limit
        self.domainLimit = domainLimit
    }

    subscript(account: JID) -> SubscriptionRequest? { entries[account]?.request }

    var all: [SubscriptionRequest] { entries.values.map(\.request) }

    /// Keeps a request; a later one of the same account takes the place of the earlier.
    mutating func add(_ request: SubscriptionRequest) {
        if let known = entries[request.from] {
            entries[request.from] = Entry(request: request, number: known.number)
            return
        }
        makeRoom(for: request.from.domain)
        nextNumber += 1
        entries[request.from] = Entry(request: request, number: nextNumber)
    }

    @discardableResult
    mutating func remove(_ account: JID) -> SubscriptionRequest? { entries.removeValue(forKey: account)?.request }

    private mutating func makeRoom(for domain: String) {
        var counts: [String: Int] = [:]
        for account in entries.keys { counts[account.domain, default: 0] += 1 }
        var crowded: Set<String> = []
        if counts[domain, default: 0] >= domainLimit {
            crowded = [domain]
        } else if entries.count >= limit {
            let most = counts.values.max()
            crowded = Set(counts.filter { $0.value == most }.keys)
        }
        let oldest = entries.filter { crowded.contains($0.key.domain) }.min { $0.value.number < $1.value.number }
        if let oldest { entries[oldest.key] = nil }
    }
}
