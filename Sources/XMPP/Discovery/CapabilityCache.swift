/// Answers to disco#info by their hash, only those that were verified (XEP-0115 §5.4): otherwise one contact could decide
/// what others seem to be able to do. A value; the oldest entry goes when it is full.
struct CapabilityCache {
    private var answers: [String: DiscoInfo] = [:]
    private var order: [String] = []
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    /// The answer such capabilities stand for.
    subscript(capabilities: PresenceResource.Capabilities) -> DiscoInfo? {
        capabilities.hash == "sha-1" ? answers[capabilities.version] : nil
    }

    /// Keeps an answer if its hash is the announced one. Returns whether it is.
    mutating func learned(_ query: Element?, as capabilities: PresenceResource.Capabilities) -> Bool {
        guard capabilities.hash == "sha-1" else { return false }
        let info: DiscoInfo
        do {
            info = try EntityCapabilities.parse(query, strictly: true)
        } catch {
            // Not fit to be shared; the asker still gets it for that one connection.
            return false
        }
        guard EntityCapabilities.version(info) == capabilities.version else { return false }
        guard answers[capabilities.version] == nil else { return true }
        if order.count >= limit { answers[order.removeFirst()] = nil }
        answers[capabilities.version] = info
        order.append(capabilities.version)
        return true
    }
}
