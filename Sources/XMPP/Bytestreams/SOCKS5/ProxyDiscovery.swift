import Logging
import NIOCore

/// Carries out ``ProxyDiscoveryStateMachine`` on one connection. Confined to the stanza thread.
final class ProxyDiscovery {
    /// How long each answer may take.
    private static let patience: Duration = .seconds(3)

    private struct Waiter {
        let deadline: NIODeadline
        let completion: ([ProxyHost]) -> Void
    }

    /// Held weakly: it owns this.
    private weak var sink: (any StanzaSink)?
    private let logger: Logger
    private let clock: @Sendable () -> NIODeadline
    private var machine = ProxyDiscoveryStateMachine()
    private var waiters: [Waiter] = []
    /// Counts connections: answers to what an earlier one asked do not count.
    private var connection = 0

    init(sink: any StanzaSink, logger: Logger, clock: @escaping @Sendable () -> NIODeadline) {
        self.sink = sink
        self.logger = logger
        self.clock = clock
    }

    /// Begins, if there is a connection and it has not begun on it.
    func begin() {
        guard let server = sink?.ownJID?.server, machine.begin() else { return }
        ask(server, Element("query", namespace: Namespaces.discoItems)) { discovery, answer in
            let items = answer?.children("item", Namespaces.discoItems).compactMap { $0["jid"].flatMap { JID($0) } } ?? []
            for item in discovery.machine.received(items: items) { discovery.askKind(of: item) }
        }
    }

    private func askKind(of item: JID) {
        ask(item, Element("query", namespace: Namespaces.discoInfo)) { discovery, answer in
            let isProxy = answer?.children("identity").contains { $0["category"] == "proxy" && $0["type"] == "bytestreams" } == true
            if discovery.machine.received(isProxy: isProxy, of: item) { discovery.askHost(of: item) }
        }
    }

    private func askHost(of item: JID) {
        ask(item, Element("query", namespace: Namespaces.bytestreams)) { discovery, answer in
            discovery.machine.received(host: ProxyHost(parsing: answer, of: item), of: item)
        }
    }

    private func ask(_ address: JID, _ payload: Element, answered: @escaping (ProxyDiscovery, Element?) -> Void) {
        let connection = connection
        sink?.sendIQ(.get, to: address, payload: payload, timeout: ProxyDiscovery.patience) { [weak self] result in
            guard let self, self.connection == connection else { return }
            switch result {
            case .success(let answer): answered(self, answer)
            case .failure(let error):
                self.logger.debug("no answer about proxies", metadata: [LogKeys.peer: "\(address)", LogKeys.reason: "\(error)"])
                answered(self, nil)
            }
            if self.machine.isKnown { self.tellWaiters { _ in true } }
        }
    }

    /// Completes with the proxies as soon as all are known, and by that time with those that are. May complete before it returns.
    func whenKnown(by deadline: NIODeadline, completion: @escaping ([ProxyHost]) -> Void) {
        begin()
        guard !machine.isKnown, !machine.isIdle else { return completion(machine.proxies) }
        waiters.append(Waiter(deadline: deadline, completion: completion))
    }

    /// Time went by.
    func tick() {
        let now = clock()
        tellWaiters { $0.deadline <= now }
    }

    /// The connection is gone, and its server's proxies with it.
    func disconnected() {
        connection += 1
        machine = ProxyDiscoveryStateMachine()
        tellWaiters { _ in true }
    }

    private func tellWaiters(where isDue: (Waiter) -> Bool) {
        let due = waiters.filter(isDue)
        waiters.removeAll(where: isDue)
        for waiter in due { waiter.completion(machine.proxies) }
    }
}
