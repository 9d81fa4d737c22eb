import Foundation
import QiMessaging
import Synchronization
import XMPP

/// Who is a peer and what it offers: a fold over roster, presence and disco of one account. Any thread.
final class PeerDirectory: Sendable {
    private struct State {
        var lastSeen: [JID: Date] = [:]
        var services: [JID: Int] = [:]
        var waiters: [JID: [UInt64: UnsafeContinuation<Void, Never>]] = [:]
        var nextWaiter: UInt64 = 1
        var onlineSince: ContinuousClock.Instant?
        /// Devices that are said to be there and did not answer.
        var silent: Set<JID> = []
    }

    private let state = Mutex(State())
    private let client: XMPPClient
    /// Told after every change of what is known here.
    let observers = PeerObservers()

    init(client: XMPPClient) { self.client = client }

    // MARK: - Names

    /// The contact that `name` means here: the name in this account's roster, or a bare JID in it. What a device calls itself never
    /// counts, or a contact could call itself `pepper`.
    func contact(named name: String) throws(QiError) -> JID? {
        let items = client.roster()
        let named = items.filter { $0.name == name && $0.isMutual }
        if named.count > 1 {
            let jids = named.map { "\($0.jid)" }.joined(separator: ", ")
            throw QiError(.conflict, "several devices are called \"\(name)\": \(jids)", hint: "use one of these addresses instead")
        }
        if let found = named.first { return found.jid }
        let address = JID(name)?.bare
        guard let item = items.first(where: { $0.name == name || $0.jid == address }) else { return nil }
        guard item.isMutual else {
            throw QiError(
                .denied, "\(name) (\(item.jid)) and this device have not both approved each other yet",
                hint: item.subscription == .from ? "on this device: qimesh approve \(item.jid)" : "on that device: qimesh approve with this device's address")
        }
        return item.jid
    }

    // MARK: - Presence

    func wentOnline() {
        state.withLock { $0.onlineSince = .now }
        observers.notify()
    }

    func wentOffline() {
        state.withLock { $0.onlineSince = nil }
        observers.notify()
    }

    /// Whether a device did not answer when it was last asked for a tunnel, and has given no sign of life since.
    func isSilent(_ device: JID) -> Bool { state.withLock { $0.silent.contains(device) } }

    /// Notes whether a device answered when it was asked for a tunnel.
    func asked(_ device: JID, answered: Bool) {
        let isNews = state.withLock { state in
            answered ? state.silent.remove(device) != nil : state.silent.insert(device).inserted
        }
        if isNews { observers.notify() }
    }

    /// The connection of a device that carries tunnels: of several the newest.
    func tunnelResource(of device: JID) -> PresenceResource? {
        client.resources(of: device).first { $0.isAvailable && $0.disco?.has(MeshNamespaces.tunnel) == true }
    }

    func presenceChanged(_ resource: PresenceResource) {
        let device = resource.jid.bare
        let waiters = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
            state.lastSeen[device] = Date()
            if state.lastSeen.count > 20_000 { state.lastSeen.removeAll() }
            state.silent.remove(device)
            guard resource.isAvailable else { return [] }
            return state.waiters.removeValue(forKey: device).map { Array($0.values) } ?? []
        }
        for waiter in waiters { waiter.resume() }
        observers.notify()
    }

    /// Whether presences may still be on their way after a login.
    var isSettling: Bool {
        state.withLock { state in
            guard let since = state.onlineSince else { return false }
            return ContinuousClock.now - since < .seconds(5)
        }
    }

    /// Returns at the next sign of life of a device, or when the task is cancelled.
    func nextPresence(of device: JID) async {
        let id = state.withLock { state in
            defer { state.nextWaiter += 1 }
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let isOver = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.waiters[device, default: [:]][id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters[device]?.removeValue(forKey: id) }?.resume()
        }
    }

    /// The connection of a device that carries tunnels; waits a moment for presences right after a login.
    ///
    /// - Throws: `.offline`, with when it was last seen.
    func awaitTunnelResource(of device: JID, name: String) async throws(QiError) -> PresenceResource {
        if let resource = tunnelResource(of: device) { return resource }
        if isSettling || !client.resources(of: device).isEmpty {
            await withTaskGroup { group in
                group.addTask { [self] in
                    while tunnelResource(of: device) == nil, !Task.isCancelled { await nextPresence(of: device) }
                }
                group.addTask {
                    // Ends early only by cancellation, which is the point.
                    try? await Task.sleep(for: .seconds(5))
                }
                await group.next()
                group.cancelAll()
            }
            if let resource = tunnelResource(of: device) { return resource }
        }
        if !client.resources(of: device).isEmpty {
            throw QiError(.offline, "\(name) is online, but with no program that carries tunnels", hint: "start qimesh up there")
        }
        throw QiError(.offline, "\(name) is offline (\(lastSeenText(device)))", hint: "try again when it is back, see: qimesh devices")
    }

    private func lastSeenText(_ device: JID) -> String {
        guard let date = state.withLock({ $0.lastSeen[device] }) else { return "not seen since this node started" }
        let seconds = Int(Date().timeIntervalSince(date))
        return seconds < 120 ? "last seen \(seconds) s ago" : "last seen \(seconds / 60) min ago"
    }

    // MARK: - Services

    func setServices(_ count: Int, of device: JID) {
        state.withLock { $0.services[device] = count }
        observers.notify()
    }

    // MARK: - Listing

    /// Everybody in the roster, and everybody who asks to be.
    func peers() -> [MeshPeer] {
        let known = state.withLock { ($0.lastSeen, $0.services) }
        var peers: [JID: MeshPeer] = [:]
        for item in client.roster() {
            var peer = MeshPeer(jid: item.jid, name: item.name ?? "\(item.jid)", state: .offline)
            peer.subscription = item.subscription.rawValue
            peer.lastSeen = known.0[item.jid]
            if !item.isMutual {
                peer.state = item.subscription == .from ? .asks : .invited
            } else if let resource = tunnelResource(of: item.jid) {
                peer.state = .online
                peer.resource = resource.jid.resource ?? ""
                peer.services = known.1[item.jid] ?? -1
                peer.model = resource.disco?.identities.first?.name ?? ""
                peer.note = resource.status
            } else if !client.resources(of: item.jid).isEmpty {
                peer.note = "online without qimesh"
            }
            peers[item.jid] = peer
        }
        for request in client.pendingSubscriptionRequests() {
            var peer = peers[request.from] ?? MeshPeer(jid: request.from, name: "\(request.from)", state: .asks)
            peer.state = .asks
            peer.note = "asks to be a contact: qimesh approve \(request.from)"
            peers[request.from] = peer
        }
        return peers.values.sorted { ($0.name, "\($0.jid)") < ($1.name, "\($1.jid)") }
    }
}
