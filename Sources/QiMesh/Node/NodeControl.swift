import Foundation
import Logging
import QiMessaging
import QiWire
import Synchronization
import XMPP

/// The node's control interface: a qi service like any other, except that only this user's processes reach it, over the unix
/// socket, and that it is in no listing. What the CLI's verbs about the node ask.
final class NodeControl: Sendable {
    static let name = "QiMeshControl"

    private let current: CurrentConfiguration
    private var configuration: MeshConfiguration { current.value }
    private let server: DirectoryServer
    private let accounts: AccountSet
    private var gateways: [XMPPGateway] { accounts.gateways }
    private let identity: CurrentIdentity
    private let trust: TrustStore
    private let additions: [any ControlMembers]
    private let started = Date()
    private let places = Mutex<(open: [String], missing: [String])>(([], []))

    init(
        configuration: CurrentConfiguration, server: DirectoryServer, accounts: AccountSet, identity: CurrentIdentity,
        trust: TrustStore, additions: [any ControlMembers] = []
    ) {
        current = configuration
        self.server = server
        self.accounts = accounts
        self.identity = identity
        self.trust = trust
        self.additions = additions
    }

    /// - Parameters:
    ///   - endpoints: where the directory listens.
    ///   - missing: where it will when that is there, in words.
    func setEndpoints(_ endpoints: [String], missing: [String]) { places.withLock { $0 = (endpoints, missing) } }

    /// The members; every result is a map with string keys, or a list of them.
    var object: ObjectBuilder {
        var builder = ObjectBuilder(description: "The control interface of this node")
        builder.advertiseControl("status", "()") { [self] _, _ in try await status() }
        builder.advertiseControl("devices", "()") { [self] _, _ in try await devices() }
        builder.advertiseControl("boards", "()") { [self] _, _ in
            .dictionary(try await server.boardNames().map { ($0.key, .string(QiString($0.value))) })
        }
        builder.advertiseControl("services", "(s)") { [self] arguments, _ in
            .list(try await server.services(of: try arguments[0].text("device")).map(Self.describe))
        }
        builder.advertiseControl("find", "(ss)") { [self] arguments, _ in
            try await find(try arguments[0].text("device"), try arguments[1].text("service"))
        }
        addIdentity(to: &builder)
        for addition in additions { addition.add(to: &builder) }
        builder.advertiseControl("openTunnel", "(ss)") { [self] arguments, context in
            try await openTunnel(try arguments[0].text("device"), try arguments[1].text("url"), context)
        }
        return builder
    }

    private func addIdentity(to builder: inout ObjectBuilder) {
        builder.advertiseControl("identity", "()") { [self] _, _ in
            .dictionary([
                ("name", .string(configuration.deviceName)), ("fingerprint", .string("\(identity.fingerprint)")),
                ("deviceID", .string(identity.value.deviceID)), ("jids", .list(gateways.map { .string("\($0.own)") })),
            ])
        }
        builder.advertiseControl("trusted", "()") { [self] _, _ in
            .list(try trust.entries().map { try trustEntry($0.jid) })
        }
        builder.advertiseControl("trust", "(s)") { [self] arguments, _ in
            try trustEntry(try resolve(try arguments[0].text("JID")))
        }
        builder.advertiseControl("acceptKey", "(ss)") { [self] arguments, _ in
            let jid = try resolve(try arguments[0].text("JID"))
            guard let key = KeyFingerprint(try arguments[1].text("fingerprint")) else {
                throw QiError(.invalid, "that is not a fingerprint", hint: "qimesh identity; it looks like SHA256:…")
            }
            try trust.replace(jid: jid, key: key)
            server.dropDevice(jid, QiError(.disconnected, "the key of \(jid) was changed"))
            record(jid, "accept", "\(key)")
            return .dictionary([("jid", .string(jid)), ("fingerprint", .string("\(key)"))])
        }
        builder.advertiseControl("forgetKey", "(s)") { [self] arguments, _ in
            let jid = try resolve(try arguments[0].text("JID"))
            let wasKnown = try trust.remove(jid: jid)
            server.dropDevice(jid, QiError(.disconnected, "the key of \(jid) was forgotten"))
            if wasKnown { record(jid, "forget", jid) }
            return .dictionary([("jid", .string(jid)), ("known", .bool(wasKnown))])
        }
    }

    // MARK: - What there is

    private func status() async throws -> QiValue {
        let links = try await server.deviceLinks()
        let outgoing = links.outgoing.filter(\.isUp).map { link in
            QiValue.dictionary([
                ("device", .string(nickname(link.device))), ("jid", .string(link.device)), ("direction", .string("out")),
                ("since", .double(link.upFor.map { Date().timeIntervalSince1970 - Double($0.components.seconds) } ?? -1)),
                ("calls", .int64(Int64(link.callsInFlight))), ("services", .int64(Int64(link.services))),
            ])
        }
        let incoming = links.incoming.map { device, calls in
            QiValue.dictionary([
                ("device", .string(nickname(device))), ("jid", .string(device)), ("direction", .string("in")),
                ("calls", .int64(Int64(calls))),
            ])
        }
        return .dictionary([
            ("name", .string(configuration.deviceName)), ("model", .string(configuration.device.model ?? "")),
            ("role", .string(configuration.device.role.rawValue)), ("master", .string(configuration.device.directory ?? "")),
            ("masterTrouble", .string(try await server.masterTrouble()?.message ?? "")),
            ("version", .string(MeshNode.version)), ("machineId", .string(server.machineID)),
            ("directory", .list(places.withLock { $0.open }.map { .string($0) })),
            ("directoryMissing", .list(places.withLock { $0.missing }.map { .string(QiString($0)) })),
            ("services", .int64(Int64(try await server.services().count))),
            ("since", .double(started.timeIntervalSince1970)),
            ("accounts", .list(gateways.map(Self.describe))), ("tunnels", .list(outgoing + incoming)),
        ] + additions.flatMap(\.status))
    }

    private static func describe(_ gateway: XMPPGateway) -> QiValue {
        var state = "offline"
        var reason = ""
        var since = -1.0
        func time(of instant: ContinuousClock.Instant) -> Double {
            Date().timeIntervalSince1970 - Double((ContinuousClock.now - instant).components.seconds)
        }
        switch gateway.client.state {
        case .idle: break
        case .connecting: state = "connecting"
        case .online(let instant):
            state = "online"
            since = time(of: instant)
        case .waiting(let pause, let error):
            state = "waiting"
            reason = "\(error.message); next attempt within \(pause.text)"
        case .refused(let instant, let pause, let error):
            state = "refused"
            since = time(of: instant)
            let again = "next attempt within \(pause.text)"
            reason = [error.message, gateway.advice(on: error), again].compactMap { $0 }.joined(separator: "; ")
        case .stopped(let error):
            state = "stopped"
            reason = error?.message ?? ""
        }
        return .dictionary([
            ("jid", .string("\(gateway.own)")), ("state", .string(state)), ("reason", .string(reason)),
            ("since", .double(since)), ("resource", .string(gateway.account.resource)),
        ])
    }

    private func devices() async throws -> QiValue {
        let links = try await server.deviceLinks()
        let counts = await learn(from: links.outgoing.filter(\.isUp).map(\.device))
        let paths = try await server.pathsOfDevices()
        return .list(
            try gateways.flatMap { gateway in gateway.peers.peers().map { (gateway, $0) } }.map { gateway, peer in
                let jid = "\(peer.jid)"
                var peer = peer
                let refused = try trust.refused(jid: jid)
                if refused != nil, peer.state == .online {
                    peer.state = .refused
                    peer.note = "shows another key than before: qimesh trust \(word: jid)"
                }
                return .dictionary([
                    ("name", .string(peer.name)), ("jid", .string(jid)), ("state", .string(peer.state.rawValue)),
                    ("model", .string(peer.model)), ("services", .int64(counts[jid] ?? -1)),
                    ("path", .string(peer.state == .online ? paths[jid]?.name ?? "" : "")),
                    ("lastSeen", .double(peer.lastSeen?.timeIntervalSince1970 ?? -1)), ("resource", .string(peer.resource)),
                    ("subscription", .string(peer.subscription)),
                    ("fingerprint", .string(try trust.entry(jid: jid).map { "\($0.key)" } ?? "")), ("note", .string(peer.note)),
                    ("admitted", .string(peer.admission?.rawValue ?? "")), ("account", .string("\(gateway.own)")),
                    ("trouble", .string(peer.state == .unknown ? Self.trouble(of: gateway) : "")),
                ])
            })
    }

    /// Why this device itself is out of reach at an account.
    private static func trouble(of gateway: XMPPGateway) -> String {
        switch gateway.client.state {
        case .waiting(_, let error), .refused(_, _, let error): error.message
        case .idle, .connecting, .online, .stopped: "not connected"
        }
    }

    /// Asks the devices what they are, and those with an open tunnel for their services, which only the tunnel tells. What does not
    /// come within two seconds stays unknown.
    private func learn(from open: [String]) async -> [String: Int64] {
        let counts = Counts()
        await Mesh.race(.seconds(2)) { [self] in
            await withDiscardingTaskGroup { group in
                for gateway in gateways { group.addTask { await gateway.learnDescriptions(within: .seconds(2)) } }
                for device in open {
                    group.addTask { [self] in
                        do throws(QiError) {
                            let count = try await server.services(of: device).count
                            counts.value.withLock { $0[device] = Int64(count) }
                        } catch {
                            server.loop.logger.debug("services of a device not counted", metadata: ["error": "\(error)"])
                        }
                    }
                }
            }
        }
        return counts.value.withLock { $0 }
    }

    /// Numbers that come from several devices at one time.
    private final class Counts: Sendable {
        let value = Mutex<[String: Int64]>([:])
    }

    private static func describe(_ info: ServiceInfo) -> QiValue {
        .dictionary([
            ("name", .string(info.name)), ("id", .int64(Int64(info.serviceID))), ("machine", .string(info.machineID)),
            ("process", .int64(Int64(info.processID))), ("session", .string(info.sessionID)),
        ])
    }

    private func nickname(_ device: String) -> String {
        JID(device).flatMap { jid in gateways.lazy.compactMap { $0.contacts.contact(jid)?.name }.first } ?? device
    }

    /// Looks a service up like a client would, and says in a form for programs how that went: an Error of the bus is only text.
    private func find(_ device: String, _ service: String) async throws -> QiValue {
        do throws(QiError) {
            _ = try await server.service(service, of: device)
            return .dictionary([("code", .string("")), ("message", .string("")), ("hint", .string("")), ("retryable", .bool(false))])
        } catch {
            return .dictionary([
                ("code", .string("\(error.code)")), ("message", .string(error.message)), ("hint", .string(error.hint ?? "")),
                ("retryable", .bool(error.isRetryable)),
            ])
        }
    }

    // MARK: - Trust

    /// A JID, or the name of a contact.
    private func resolve(_ text: String) throws -> String { "\(try gateways.address(of: text))" }

    /// The owner's word about a key is written down.
    private func record(_ jid: String, _ access: String, _ target: String) {
        server.access?.record(
            AuditRecord(
                event: "trust", principal: jid, zone: .internal, target: target, access: access, isAllowed: true, path: "control interface"))
    }

    private func trustEntry(_ jid: String) throws -> QiValue {
        let entry = try trust.entry(jid: jid)
        return .dictionary([
            ("jid", .string(jid)), ("pinned", .string(entry.map { "\($0.key)" } ?? "")),
            ("refused", .string(try trust.refused(jid: jid).map { "\($0.key)" } ?? "")),
            ("revoked", .bool(try trust.isRevoked(jid: jid))),
            ("firstSeen", .double(entry?.firstSeen.timeIntervalSince1970 ?? -1)),
            ("lastSeen", .double(entry?.lastSeen.timeIntervalSince1970 ?? -1)),
        ])
    }

    // MARK: - Tunnels

    private func openTunnel(_ device: String, _ url: String, _ context: CallContext) async throws -> QiValue {
        guard let endpoint = Endpoint(url) else {
            throw QiError(.invalid, "\"\(url)\" is not an endpoint", hint: "use for example tcp://127.0.0.1:9600")
        }
        let users = try configuration.internal.users.resolved()
        let tunnel = try await server.openTunnel(to: device, at: endpoint, users: users)
        // The command that asked keeps it: when its connection ends, so does the tunnel.
        let closing = AsyncStream.makeStream(of: Void.self)
        context.whenConnectionEnds { closing.continuation.finish() }
        server.loop.spawn {
            for await _ in closing.stream {}
            await tunnel.close()
        }
        return .dictionary([
            ("device", .string(device)), ("url", .string(tunnel.endpoint?.text ?? url)), ("path", .string(tunnel.path.name)),
        ])
    }
}
