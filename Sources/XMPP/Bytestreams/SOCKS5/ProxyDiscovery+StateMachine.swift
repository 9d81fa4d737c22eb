/// Finds the SOCKS5 proxies of our server (XEP-0065 §4), once each connection.
///
///     idle ── begin ──▶ the server's items ──▶ what each of them is ──▶ where those are reached that are proxies ──▶ known
///
/// A pure value; each question has a time-out of the caller's.
struct ProxyDiscoveryStateMachine: Sendable {
    /// Most items of the server that are asked what they are.
    static let mostItems = 16
    /// Most proxies that are kept.
    static let mostProxies = 2

    private enum State {
        case idle, listing, asking, known
    }

    private var state = State.idle
    /// In the server's order.
    private var items: [JID] = []
    private var asked: Set<JID> = []
    private var located: Set<JID> = []
    private var hosts: [JID: ProxyHost] = [:]

    /// The proxies that are known by now, in the server's order.
    var proxies: [ProxyHost] { items.compactMap { hosts[$0] }.prefix(ProxyDiscoveryStateMachine.mostProxies).map { $0 } }

    /// Whether there is nothing more to learn.
    var isKnown: Bool { state == .known }

    /// Whether it has not begun.
    var isIdle: Bool { state == .idle }

    /// Begins. True when the server is to be asked for its items.
    mutating func begin() -> Bool {
        guard state == .idle else { return false }
        state = .listing
        return true
    }

    /// The server's items, or none. Whom to ask what it is.
    mutating func received(items: [JID]) -> [JID] {
        guard state == .listing else { return [] }
        for item in items where !self.items.contains(item) && self.items.count < ProxyDiscoveryStateMachine.mostItems {
            self.items.append(item)
        }
        asked = Set(self.items)
        state = self.items.isEmpty ? .known : .asking
        return self.items
    }

    /// What an item is, as far as it said. True when it is to be asked where it is reached.
    mutating func received(isProxy: Bool, of item: JID) -> Bool {
        guard state == .asking, asked.remove(item) != nil else { return false }
        guard isProxy, located.count + hosts.count < ProxyDiscoveryStateMachine.mostProxies else {
            settle()
            return false
        }
        located.insert(item)
        return true
    }

    /// Where a proxy is reached, as far as it said.
    mutating func received(host: ProxyHost?, of item: JID) {
        guard state == .asking, located.remove(item) != nil else { return }
        hosts[item] = host
        settle()
    }

    private mutating func settle() {
        if asked.isEmpty, located.isEmpty { state = .known }
    }
}
