import Foundation
import Logging
import QiMessaging
import Synchronization
import XMPP

/// The node behind ``MeshControl``: here what it is, its devices and its tunnels; a file for each other subject.
final class NodeControl: MeshControl {
    let pairing = Signal<String, String>()
    let hosting = Signal<String, String, String, String>()

    let current: CurrentConfiguration
    var configuration: MeshConfiguration { current.value }
    let server: DirectoryServer
    let accounts: AccountSet
    var gateways: [XMPPGateway] { accounts.gateways }
    let own: CurrentIdentity
    let trust: TrustStore
    let tokens: EnrollmentStore
    let installed: AppStore
    let policies: PolicyStore
    /// The public door, of a node that has one.
    let door: StandingDoor?
    private let started = Date()
    private let places = Mutex<(open: [String], missing: [String])>(([], []))

    init(
        configuration: CurrentConfiguration, server: DirectoryServer, accounts: AccountSet, identity: CurrentIdentity, trust: TrustStore,
        enrollments: EnrollmentStore, apps: AppStore, policies: PolicyStore, door: StandingDoor?
    ) {
        current = configuration
        self.server = server
        self.accounts = accounts
        own = identity
        self.trust = trust
        tokens = enrollments
        installed = apps
        self.policies = policies
        self.door = door
    }

    /// - Parameters:
    ///   - endpoints: where the directory listens.
    ///   - missing: where it will when that is there, in words.
    func setEndpoints(_ endpoints: [String], missing: [String]) { places.withLock { $0 = (endpoints, missing) } }

    /// Writes down what the owner had done.
    func record(
        _ event: String, of principal: String, zone: Zone = .internal, _ access: String, _ target: String, detail: String? = nil
    ) {
        policies.control.record(
            AuditRecord(
                event: event, principal: principal, zone: zone, target: target, access: access, isAllowed: true, path: "control interface",
                detail: detail))
    }

    // MARK: - What there is

    func status() async -> Answer<NodeStatus> { await Answer { try await nodeStatus() } }
    func devices() async -> Answer<[DeviceRow]> { await Answer { try await rows() } }
    func boards() async -> Answer<[String: String]> { await Answer { try await server.boardNames() } }
    func hosted() async -> Answer<[HostedRow]> { await Answer { try await hostedRows() } }
    func naoqiServices() async -> Answer<[String]> { await Answer { try await server.upstreamStatus()?.services ?? [] } }
    func services(of device: String) async -> Answer<[ServiceInfo]> {
        await Answer {
            if let services = try await services(ofGroup: device) { return services }
            return try await server.services(of: device)
        }
    }

    private func nodeStatus() async throws -> NodeStatus {
        let places = places.withLock { $0 }
        return NodeStatus(
            name: configuration.deviceName, model: configuration.device.model, role: configuration.device.role.rawValue,
            master: configuration.device.directory, masterTrouble: try await server.masterTrouble()?.message,
            naoqi: try await server.upstreamStatus().map(NAOqiStatus.init), version: MeshNode.version,
            machineId: server.machineID, directory: places.open, directoryMissing: places.missing,
            services: try await server.services().count, since: started.timeIntervalSince1970,
            accounts: gateways.map(AccountStatus.init), tunnels: tunnels(try await server.deviceLinks()),
            hosted: try await hostedRows(),
            descriptors: DescriptorStatus(limit: Int(Descriptors.limit), exhausted: Descriptors.isExhausted),
            pairing: pairingStatus, policy: policies.path, rules: policies.control.policy.rules.count, door: door.map(DoorStatus.init),
            groups: try await groupRows())
    }

    private func hostedRows() async throws -> [HostedRow] {
        try await server.hostedByDevices().map {
            HostedRow(service: $0.service, device: nickname($0.device), jid: $0.device, away: $0.isAway)
        }
    }

    private func tunnels(_ links: (outgoing: [DeviceLinkStatus], incoming: [(device: String, calls: Int)])) -> [TunnelStatus] {
        let outgoing = links.outgoing.filter(\.isUp).map { link in
            TunnelStatus(
                device: nickname(link.device), jid: link.device, direction: "out",
                since: link.upFor.map { Date().timeIntervalSince1970 - Double($0.components.seconds) }, calls: link.callsInFlight,
                services: link.services)
        }
        return outgoing + links.incoming.map { device, calls in
            TunnelStatus(device: nickname(device), jid: device, direction: "in", since: nil, calls: calls, services: nil)
        }
    }

    func rows() async throws -> [DeviceRow] {
        let links = try await server.deviceLinks()
        let counts = await learn(from: links.outgoing.filter { $0.hasPath && !$0.device.contains("/") }.map(\.device))
        return try await rows(counts)
    }

    /// The devices as far as is known.
    /// - Parameter counts: the services of those where they are known.
    private func rows(_ counts: [String: Int]) async throws -> [DeviceRow] {
        let paths = try await server.pathsOfDevices()
        return try gateways.flatMap { gateway in gateway.peers.peers().map { (gateway, $0) } }.map { gateway, peer in
            let jid = "\(peer.jid)"
            var peer = peer
            let isThere = peer.state == .online || peer.state == .stale
            if try trust.refused(jid: jid) != nil, isThere {
                peer.state = .refused
                peer.note = "shows another key than before: qimesh trust \(word: jid)"
            }
            return DeviceRow(
                name: peer.name, jid: jid, state: peer.state.rawValue, model: peer.model.nilIfEmpty, services: counts[jid],
                path: isThere ? paths[jid]?.name : nil, rtt: peer.roundTrip.map { $0 / .milliseconds(1) },
                staleSince: peer.staleFor.map { Date().timeIntervalSince1970 - $0 / .seconds(1) },
                lastSeen: peer.lastSeen?.timeIntervalSince1970, resource: peer.resource.nilIfEmpty, subscription: peer.subscription,
                fingerprint: try trust.entry(jid: jid).map { "\($0.key)" }, note: peer.note.nilIfEmpty,
                admitted: peer.admission?.rawValue, account: "\(gateway.own)",
                trouble: peer.state == .unknown ? Self.trouble(of: gateway) : nil)
        }
    }

    /// Why this device itself is out of reach at an account.
    private static func trouble(of gateway: XMPPGateway) -> String {
        switch gateway.client.state {
        case .waiting(_, let error), .refused(_, _, let error): error.message
        case .idle, .connecting, .online, .stopped: "not connected"
        }
    }

    /// Asks the devices whether they are alive and what they are, and those with an open tunnel for their services, which only the tunnel
    /// tells. What does not come within two seconds stays unknown.
    private func learn(from open: [String]) async -> [String: Int] {
        let counts = Counts()
        await Race.within(.seconds(2)) { [self] in
            await withDiscardingTaskGroup { group in
                for gateway in gateways {
                    group.addTask { await gateway.peers.look() }
                    group.addTask { await gateway.learnDescriptions(within: .seconds(2)) }
                }
                for device in open where !isStale(device) {
                    group.addTask { [self] in
                        do throws(QiError) {
                            let count = try await server.services(of: device, within: .seconds(2)).count
                            counts.value.withLock { $0[device] = count }
                        } catch {
                            server.loop.logger.debug("services of a device not counted", metadata: ["error": "\(error)"])
                        }
                    }
                }
            }
        }
        return counts.value.withLock { $0 }
    }

    private func isStale(_ device: String) -> Bool { JID(device).map { jid in gateways.contains { $0.peers.isStale(jid) } } ?? false }

    /// Numbers that come from several devices at one time.
    private final class Counts: Sendable {
        let value = Mutex<[String: Int]>([:])
    }

    private func nickname(_ device: String) -> String {
        JID(device).flatMap { jid in gateways.lazy.compactMap { $0.contacts.contact(jid)?.name }.first } ?? device
    }

    /// Who asks.
    func caller() throws(QiError) -> CallContext {
        guard let context = CallContext.current else { throw QiError(.denied, "who asks is not known") }
        return context
    }

    // MARK: - Tunnels

    /// Tells what becomes of services at the tunnel that is called so.
    private func report(under ticket: String) -> @Sendable (HostingEvent) -> Void {
        { [hosting] event in
            let (what, service, why) = event.told
            hosting.emit(ticket, what, service, why)
        }
    }

    func openTunnel(to device: String, at url: String, ticket: String?) async -> Answer<OpenedTunnel> {
        await Answer {
            guard let endpoint = Endpoint(url) else {
                throw QiError(.invalid, "\"\(url)\" is not an endpoint", hint: "use for example tcp://127.0.0.1:9600")
            }
            let asker = try caller()
            let users = try configuration.internal.users.resolved()
            let tunnel = try await server.openTunnel(to: device, at: endpoint, users: users, hosting: ticket.map(report))
            // The command that asked keeps it: when its connection ends, so does the tunnel.
            let closing = AsyncStream.makeStream(of: Void.self)
            asker.whenConnectionEnds { closing.continuation.finish() }
            server.loop.spawn {
                for await _ in closing.stream {}
                await tunnel.close()
            }
            return OpenedTunnel(device: device, url: tunnel.endpoint?.text ?? url, path: tunnel.path.name)
        }
    }
}

extension NodeControl {
    func gateway() async -> Answer<GatewayLoad> {
        await Answer {
            guard let status = try await door?.service.status() else {
                throw QiError(.notFound, "no public door is open", hint: "qimesh status")
            }
            return GatewayLoad(
                endpoints: status.endpoints.map(\.text), advertised: status.advertised.map(\.text), trouble: status.trouble?.message,
                services: status.services, servicesInUse: status.servicesInUse, servicesAway: status.servicesAway,
                connections: status.connections, unproven: status.unproven)
        }
    }
}

extension HostingEvent {
    /// What ``MeshControl/hosting`` says of it.
    fileprivate var told: (what: String, service: String, why: String) {
        switch self {
        case .up(let service): ("up", service, "")
        case .refused(let service, let error): ("refused", service, error.message)
        case .away(let service, let error): ("away", service, error.message)
        case .gone(let service): ("gone", service, "")
        }
    }
}

extension NAOqiStatus {
    fileprivate init(_ status: UpstreamStatus) {
        self.init(
            address: status.endpoint.text, trouble: status.trouble?.message, services: status.services.count,
            servicesAway: status.servicesAway, published: status.published, unpublished: status.unpublished.mapValues(\.message))
    }
}

extension DoorStatus {
    fileprivate init(_ door: StandingDoor) {
        let trouble = door.trouble
        self.init(
            gateway: door.service.endpoints, gatewayKey: door.service.key.map { "\($0)" }, gatewayTrouble: trouble?.text,
            gatewayTroubleSince: trouble?.since?.timeIntervalSince1970)
    }
}

extension AccountStatus {
    fileprivate init(_ gateway: XMPPGateway) {
        func time(of instant: ContinuousClock.Instant) -> Double {
            Date().timeIntervalSince1970 - Double((ContinuousClock.now - instant).components.seconds)
        }
        func again(_ pause: Duration) -> String { "next attempt within \(pause.text)" }
        func told(_ parts: [String?]) -> String { parts.compactMap { $0 }.joined(separator: "; ") }
        let (state, since, reason): (String, Double?, String?) =
            switch gateway.client.state {
            case .idle: ("offline", nil, nil)
            case .connecting: ("connecting", nil, nil)
            case .online(let instant): ("online", time(of: instant), nil)
            case .waiting(let pause, let error): ("waiting", nil, told([error.message, again(pause)]))
            case .refused(let instant, let pause, let error):
                ("refused", time(of: instant), told([error.message, gateway.advice(on: error), again(pause)]))
            case .stopped(let error): ("stopped", nil, error?.message)
            }
        self.init(jid: "\(gateway.own)", state: state, reason: reason, since: since, resource: gateway.account.resource)
    }
}
