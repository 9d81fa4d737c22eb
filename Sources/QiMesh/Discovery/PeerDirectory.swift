import Foundation
import QiMessaging
import Synchronization
import XMPP

/// Who is a peer and what it offers: a fold over the contacts of one account, its server's list, presence and disco. Any thread.
final class PeerDirectory: Sendable {
    private struct State {
        var lastSeen: [JID: Date] = [:]
        /// What connections of devices say they are; forgotten when they go or say that something changed.
        var descriptions: [JID: DeviceDescription] = [:]
        var waiters: [JID: [UInt64: UnsafeContinuation<Void, Never>]] = [:]
        var nextWaiter: UInt64 = 1
        /// The account is no more: nothing will be seen here.
        var hasEnded = false
        var settling = PresenceSettling()

        mutating func saw(_ device: JID) {
            if lastSeen.count >= 20_000 { lastSeen.removeAll() }
            lastSeen[device] = Date()
        }
    }

    private let state = Mutex(State())
    private let client: XMPPClient
    private let contacts: AccountContacts
    /// Whether devices are alive that their servers call available.
    private let probes: DeviceProbes
    /// Told after every change of what is known here.
    let observers: PeerObservers

    /// - Parameter silences: how long ago something came from programs of devices by another way than XMPP, by their full addresses.
    init(client: XMPPClient, contacts: AccountContacts, silences: @escaping @Sendable () async -> [String: Duration] = { [:] }) {
        self.client = client
        self.contacts = contacts
        let probes = DeviceProbes(
            server: client.configuration.jid.server,
            silences: {
                let known = await silences()
                return Dictionary(known.compactMap { program, silence in JID(program).map { ($0, silence) } }) { min($0, $1) }
            }
        ) { (address, limit) async throws(XMPPError) in
            try await client.ping(address, timeout: limit)
        }
        self.probes = probes
        observers = PeerObservers { probes.wake() }
    }

    /// Asks devices whether they are alive, as long as somebody watches or looks; until the task is cancelled.
    func keepAsking() async {
        await probes.run(
            watched: { [self] in observers.isWatched ? contacts.all.compactMap { JID($0.jid).flatMap(connection) } : [] },
            changed: { [observers] in observers.notify() })
    }

    // MARK: - Names

    /// The contact that `name` means here: the name that this device's owner gave it, or its address. What the server calls it, and what it
    /// calls itself, never counts, or either could turn `pepper` to another device.
    ///
    /// - Throws: `.denied` for one that the server lists and the owner has not let in, and for one that has not approved us yet.
    func contact(named name: String) throws(QiError) -> JID? {
        let address = name.contains("@") ? JID(name)?.bare : nil
        guard let found = address.map(contacts.contact) ?? contacts.named(name) else {
            guard let item = client.roster().first(where: { $0.jid == address || (address == nil && $0.name == name) }) else { return nil }
            throw QiError(
                .denied, address == nil
                    ? "\"\(name)\" is what the server calls \(item.jid), which was not let in on this device"
                    : "\(item.jid) was not let in on this device: only the server lists it",
                hint: "if it is a device of yours: \(approval(of: item))")
        }
        guard let jid = JID(found.jid) else { return nil }
        let item = client.roster().first { $0.jid == jid }
        guard !client.state.isOnline || item?.isMutual == true else {
            throw QiError(
                .denied, "\(name == found.jid ? name : "\(name) (\(jid))") and this device have not both approved each other yet",
                hint: "on that device: qimesh approve JID, with this device's address")
        }
        return jid
    }

    /// The command that lets in what the server lists, with the server's name for it if that can be one and is free.
    private func approval(of item: RosterItem) -> String {
        let name = item.name.flatMap { name in
            ContactName.refusal(of: name) == nil && contacts.holder(of: name, otherThan: item.jid) == nil ? name : nil
        }
        return Command.approve(item.jid, name: name)
    }

    // MARK: - Presence

    func wentOnline() {
        state.withLock { $0.settling.wentOnline(at: .now) }
        observers.notify()
    }

    func wentOffline() {
        state.withLock { $0.settling.wentOffline() }
        observers.notify()
    }

    // MARK: - Signs of life

    /// The connection of a contact that can be asked whether it is alive: the one that carries tunnels; nil of one that is not there, or
    /// that we and it have not both approved.
    private func connection(of device: JID) -> JID? {
        guard client.state.isOnline, client.isMutual(device) else { return nil }
        return tunnelResource(of: device)?.jid
    }

    /// Asks the contacts that were not heard lately whether they are alive; see ``DeviceProbes/look(at:within:)``.
    ///
    /// - Parameters:
    ///   - devices: nil for all.
    ///   - limit: how long to wait at most; nil for about a second.
    func look(at devices: [JID]? = nil, within limit: Duration? = nil) async {
        await probes.look(at: (devices ?? contacts.all.compactMap { JID($0.jid) }).compactMap(connection), within: limit)
    }

    /// Whether a device does not answer, whatever its server says.
    func isStale(_ device: JID) -> Bool { tunnelResource(of: device).flatMap { probes.liveness(of: $0.jid)?.staleSince } != nil }

    /// Notes that something came from a connection of a contact.
    ///
    /// - Parameter isPresence: whether it may be what the server repeats at our login.
    func heard(_ connection: JID, isPresence: Bool) {
        if isPresence, mayBeRepeated(connection) { return }
        state.withLock { $0.saw(connection.bare) }
        if probes.heard(connection) { observers.notify() }
    }

    /// Notes whether a device answered when it was asked for a tunnel, within 20 s.
    func asked(_ device: JID, answered: Bool) async {
        guard let connection = tunnelResource(of: device)?.jid else { return }
        let isNews = answered ? probes.heard(connection) : await probes.unanswered(connection, for: .seconds(20))
        if isNews { observers.notify() }
    }

    /// Measures the round trip of a question to a device (XEP-0199).
    ///
    /// - Throws: as ``XMPPClient/ping(_:timeout:)``.
    func ping(_ connection: JID, within limit: Duration) async throws(XMPPError) -> Duration {
        let roundTrip = try await client.ping(connection, timeout: limit)
        if probes.answered(connection, in: roundTrip) { observers.notify() }
        return roundTrip
    }

    /// The connection of a device that carries tunnels: of several the newest; by a full address, that program's.
    func tunnelResource(of device: JID) -> PresenceResource? {
        tunnelResources(of: device).first { device.resource == nil || $0.jid == device }
    }

    /// All connections of a device that carry tunnels, the newest first.
    func tunnelResources(of device: JID) -> [PresenceResource] {
        client.resources(of: device).filter { $0.isAvailable && $0.disco?.has(MeshNamespaces.tunnel) == true }
    }

    func presenceChanged(_ resource: PresenceResource) {
        let device = resource.jid.bare
        if resource.isAvailable {
            probes.present(resource.jid, isLive: !mayBeRepeated(resource.jid))
        } else {
            if probes.liveness(of: resource.jid) != nil { state.withLock { $0.settling.went(resource.jid, at: .now) } }
            probes.gone(resource.jid)
        }
        let waiters = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
            state.saw(device)
            guard resource.isAvailable else {
                state.descriptions[resource.jid] = nil
                return []
            }
            return state.waiters.removeValue(forKey: device).map { Array($0.values) } ?? []
        }
        for waiter in waiters { waiter.resume() }
        observers.notify()
    }

    /// Whether a presence may be what the server repeats at our login.
    private func mayBeRepeated(_ connection: JID) -> Bool { state.withLock { $0.settling.mayBeRepeated(connection, at: .now) } }

    /// Whether presences may still be on their way after a login.
    var isSettling: Bool { state.withLock { $0.settling.isSettling(at: .now) } }

    /// The account is no more: whatever waits here for a device goes on, and nothing waits here again.
    func end() {
        state.withLock { $0.hasEnded = true }
        wakeAll()
    }

    /// Whatever waits for a device goes on, and looks again how it can be reached.
    func wakeAll() {
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            return state.waiters.values.flatMap(\.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when a device carries tunnels, at once if it does, or at its next sign of life; also when the account has ended, when
    /// another one may reach the device, or when the task is cancelled.
    func nextPresence(of device: JID) async {
        let id = state.withLock { state in
            defer { state.nextWaiter += 1 }
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.hasEnded { return true }
                    state.waiters[device.bare, default: [:]][id] = continuation
                    return false
                }
                if isOver { return continuation.resume() }
                // It may have come between the caller's look and this, and does not come again.
                if tunnelResource(of: device) != nil { takeWaiter(id, for: device)?.resume() }
            }
        } onCancel: {
            takeWaiter(id, for: device)?.resume()
        }
    }

    private func takeWaiter(_ id: UInt64, for device: JID) -> UnsafeContinuation<Void, Never>? {
        state.withLock { state in
            let waiter = state.waiters[device.bare]?.removeValue(forKey: id)
            if state.waiters[device.bare]?.isEmpty == true { state.waiters[device.bare] = nil }
            return waiter
        }
    }

    private var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// The connection of a device that carries tunnels; waits a moment for presences right after a login.
    ///
    /// - Throws: `.offline`, with when it was last seen.
    func awaitTunnelResource(of device: JID, name: String) async throws(QiError) -> PresenceResource {
        if let resource = tunnelResource(of: device) { return resource }
        // A program of several is there, or it is not.
        if isSettling || device.resource == nil && !client.resources(of: device).isEmpty {
            await withTaskGroup { group in
                group.addTask { [self] in
                    while tunnelResource(of: device) == nil, !hasEnded, !Task.isCancelled { await nextPresence(of: device) }
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
        if device.resource == nil, !client.resources(of: device).isEmpty {
            throw QiError(.offline, "\(name) is online, but with no program that carries tunnels", hint: "there: qimesh up")
        }
        throw QiError(.offline, "\(name) is offline (\(lastSeenText(device)))")
    }

    private func lastSeenText(_ device: JID) -> String {
        guard let date = state.withLock({ $0.lastSeen[device.bare] }) else { return "not seen since this node started" }
        let seconds = Int(Date().timeIntervalSince(date))
        return seconds < 120 ? "last seen \(seconds) s ago" : "last seen \(seconds / 60) min ago"
    }

    // MARK: - What they are

    /// The connections of devices that have not said what they are.
    func undescribed() -> [JID] {
        let known = state.withLock { $0.descriptions }
        return contacts.all.compactMap { JID($0.jid) }.compactMap { tunnelResource(of: $0)?.jid }.filter { known[$0] == nil }
    }

    func described(_ connection: JID, _ description: DeviceDescription) {
        state.withLock { $0.descriptions[connection] = description }
        observers.notify()
    }

    /// A device says that something about it changed.
    func changed(_ device: JID) {
        state.withLock { state in state.descriptions = state.descriptions.filter { $0.key.bare != device } }
    }

    // MARK: - Listing

    /// The contacts, what the server lists beside them, and who asks to be one; by name.
    func peers() -> [MeshPeer] {
        let items = Dictionary(client.roster().map { ($0.jid, $0) }) { first, _ in first }
        var peers: [JID: MeshPeer] = [:]
        for contact in contacts.all {
            guard let jid = JID(contact.jid) else { continue }
            peers[jid] = peer(contact, jid, items[jid])
        }
        for item in items.values where peers[item.jid] == nil {
            var peer = MeshPeer(jid: item.jid, name: "\(item.jid)", state: .unconfirmed)
            peer.subscription = item.subscription.rawValue
            peer.note = "only the server lists it; to let it in: \(approval(of: item))"
            peers[item.jid] = peer
        }
        for request in client.pendingSubscriptionRequests() where contacts.contact(request.from) == nil {
            var peer = peers[request.from] ?? MeshPeer(jid: request.from, name: "\(request.from)", state: .asks)
            peer.state = .asks
            peer.note = "asks to be a contact: \(Command.approve(request.from))"
            peers[request.from] = peer
        }
        return peers.values.sorted { ($0.name, "\($0.jid)") < ($1.name, "\($1.jid)") }
    }

    private func peer(_ contact: Contact, _ jid: JID, _ item: RosterItem?) -> MeshPeer {
        var peer = MeshPeer(jid: jid, name: contact.name ?? contact.jid, state: .offline)
        peer.admission = contact.admission
        peer.subscription = item?.subscription.rawValue ?? "none"
        peer.lastSeen = state.withLock { $0.lastSeen[jid] }
        if !client.state.isOnline {
            peer.state = .unknown
        } else if item?.isMutual != true {
            peer.state = .invited
        } else if let resource = tunnelResource(of: jid) {
            let liveness = probes.liveness(of: resource.jid)
            peer.state = .online
            peer.resource = resource.jid.resource ?? ""
            peer.model = state.withLock { $0.descriptions[resource.jid] }?.text ?? ""
            peer.note = resource.status
            peer.roundTrip = liveness?.roundTrip
            // What came by another way than XMPP is known there only.
            if let heard = liveness?.heard {
                peer.lastSeen = max(peer.lastSeen ?? .distantPast, Date(timeIntervalSinceNow: -((.now - heard) / .seconds(1))))
            }
            if let since = liveness?.staleSince {
                peer.state = .stale
                peer.staleFor = .now - since
                peer.note = "its server says that it is there, and it does not answer"
            }
        } else if !client.resources(of: jid).isEmpty {
            peer.note = "online without qimesh"
        }
        return peer
    }
}
