import Logging
import NIOCore
import NIOPosix
import QiMeshTesting
import Synchronization
import Testing

@testable import XMPP

/// What happened to a client, in order, for tests that wait for something to happen.
final class Events: XMPPClientDelegate {
    enum Event: Sendable {
        case state(XMPPConnectionState)
        case presence(PresenceResource)
        case heard(JID, isPresence: Bool)
        case roster(RosterItem)
        case request(SubscriptionRequest)
        case pep(from: JID, node: String, item: Element)
    }

    private struct Log: Sendable {
        var events: [Event] = []
        var waiters: [(id: Int, matches: @Sendable (Event) -> Bool, resume: @Sendable (Event?) -> Void)] = []
        var next = 0
    }

    private let log = Mutex(Log())

    var all: [Event] { log.withLock { $0.events } }

    /// The first event after that many, past or coming, that matches. A test that waits until its time limit fails with what
    /// did happen.
    @discardableResult
    func first<Value: Sendable>(
        after count: Int = 0, _ pick: @escaping @Sendable (Event) -> Value?
    ) async throws -> Value {
        guard let found = await wait(after: count, { pick($0) != nil }), let value = pick(found) else {
            throw Missing(description: "did not happen; what did: \(all)")
        }
        return value
    }

    struct Missing: Error, CustomStringConvertible { let description: String }

    private func wait(after count: Int, _ matches: @escaping @Sendable (Event) -> Bool) async -> Event? {
        let id = log.withLock { log in
            log.next += 1
            return log.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let past: Event?? = log.withLock { log in
                    if let past = log.events.dropFirst(count).first(where: matches) { return .some(past) }
                    if Task.isCancelled { return .some(nil) }
                    log.waiters.append((id, matches, { continuation.resume(returning: $0) }))
                    return .none
                }
                if case .some(let past) = past { continuation.resume(returning: past) }
            }
        } onCancel: {
            let waiter = log.withLock { log in
                log.waiters.firstIndex { $0.id == id }.map { log.waiters.remove(at: $0) }
            }
            waiter?.resume(nil)
        }
    }

    private func add(_ event: Event) {
        let waiters = log.withLock { log in
            log.events.append(event)
            let woken = log.waiters.filter { $0.matches(event) }
            log.waiters.removeAll { $0.matches(event) }
            return woken
        }
        for waiter in waiters { waiter.resume(event) }
    }

    func stateChanged(_ state: XMPPConnectionState) { add(.state(state)) }
    func presenceChanged(_ resource: PresenceResource) { add(.presence(resource)) }
    func heard(from connection: JID, isPresence: Bool) { add(.heard(connection, isPresence: isPresence)) }
    func rosterChanged(_ item: RosterItem) { add(.roster(item)) }
    func subscriptionRequested(_ request: SubscriptionRequest) { add(.request(request)) }
    func pepEvent(from account: JID, node: String, item: Element) { add(.pep(from: account, node: node, item: item)) }
}

/// A private server with accounts.
protocol LiveServer {
    var host: String { get }
    var port: UInt16 { get }
    var domain: String { get }
    var caFile: String { get }
    func stop()
}

extension ProsodyServer: LiveServer {}
extension EjabberdServer: LiveServer {}

/// A client under test with everything that happened to it.
struct Party: Sendable {
    let client: XMPPClient
    let events: Events

    init(
        _ user: String, password: String = "secret", at server: some LiveServer,
        change: (inout XMPPConfiguration) -> Void = { _ in }
    ) throws {
        let jid = try #require(JID("\(user)@\(server.domain)"))
        var configuration = XMPPConfiguration(
            jid: jid, password: password, server: .init(host: server.host, port: server.port))
        configuration.caFile = server.caFile
        change(&configuration)
        events = Events()
        client = XMPPClient(
            configuration: configuration, delegate: events, logger: Logger(label: "test.\(user)"),
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
    }

    var jid: JID { client.configuration.jid }

    /// The full address, once logged in.
    func full() throws -> JID { try #require(client.boundJID) }

    func online() async throws {
        try await events.first { if case .state(.online) = $0 { true } else { nil } }
    }

    /// Runs the client while the body runs; then stops it and checks that it stopped well.
    func running<Value: Sendable>(_ body: @Sendable @escaping () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await client.run()
                return nil
            }
            group.addTask {
                try await online()
                let value = try await body()
                client.shutdown()
                return value
            }
            var result: Value?
            while let next = try await group.next() { result = next ?? result }
            return try #require(result)
        }
    }

    /// The error that a request of this one is answered with; nil for a result.
    func error(from address: JID, _ kind: IQRequest.Kind, _ payload: Element) async throws -> StanzaError? {
        do {
            _ = try await client.iq(to: address, kind, payload)
            return nil
        } catch {
            guard error.code == .stanza else { throw error }
            return error.stanzaError
        }
    }

    /// Both see each other afterwards, by the ordinary stanzas.
    func befriend(_ other: Party) async throws {
        try await client.setRosterItem(other.jid, name: "the other")
        try await client.approveSubscription(of: other.jid)
        try await client.subscribe(to: other.jid)
        let me = jid
        let request = try await other.events.first { event -> SubscriptionRequest? in
            if case .request(let request) = event, request.from == me { request } else { nil }
        }
        try await other.client.approveSubscription(of: request.from)
        try await other.client.subscribe(to: request.from)
        for (side, peer) in [(self, other.jid), (other, jid)] {
            try await side.events.first { event -> Bool? in
                if case .roster(let item) = event, item.jid == peer, item.isMutual { true } else { nil }
            }
            // The other's own device comes online for this side.
            try await side.events.first { event -> Bool? in
                if case .presence(let resource) = event, resource.jid.bare == peer, resource.isAvailable { true } else { nil }
            }
        }
    }
}

/// Runs two befriended clients on a server of their own, with a SOCKS5 proxy if wanted.
func withFriends(
    proxyFor users: [String]? = nil, _ body: @Sendable @escaping (Party, Party) async throws -> Void
) async throws {
    try await withFriends(at: try ProsodyServer.start(accounts: [("pepper", "secret"), ("desk", "secret")], proxyFor: users), body)
}

/// Runs two clients on that server, which has their accounts and ends with this, after they have befriended each other.
func withFriends(
    at server: some LiveServer, change: (inout XMPPConfiguration) -> Void = { _ in },
    _ body: @Sendable @escaping (Party, Party) async throws -> Void
) async throws {
    defer { server.stop() }
    let pepper = try Party("pepper", at: server, change: change)
    let desk = try Party("desk", at: server, change: change)
    try await pepper.running {
        try await desk.running {
            try await desk.befriend(pepper)
            try await body(desk, pepper)
        }
    }
}
