import NIOCore
import QiMessaging
import Synchronization
import XMPP

/// The paths that a stream to one contact may take, over the account that has it: each is a Jingle session of its own (XEP-0166), with TLS
/// of its own, so that a path that works is never touched by the trial of another.
final class StreamPaths: StreamPathSource {
    private let gateway: XMPPGateway
    /// With a resource where one program of several is meant.
    private let device: JID
    private let key: PeerKey
    /// The program that the first path leads to: another one of the same account knows nothing of the stream.
    private let reached = Mutex<JID?>(nil)

    /// - Parameter key: takes the key that the device shows on the first path; on others it has to show the same.
    init(to device: JID, over gateway: XMPPGateway, key: PeerKey) {
        self.gateway = gateway
        self.device = device
        self.key = key
        kinds = gateway.ways.order.map(\.path)
    }

    private var name: String { "\(device.bare)" }

    let kinds: [PathKind]

    var program: String? { reached.withLock { $0.map { "\($0)" } } }

    var refusal: QiError? { key.refusal.map { QiError(.denied, $0.message, hint: $0.hint) } }

    var isAway: Bool {
        gateway.client.state.isOnline && !gateway.peers.isSettling && gateway.peers.tunnelResource(of: device) == nil
    }

    func width(of kind: PathKind) -> PathWidth { gateway.width(of: kind) }

    func open(
        _ kind: PathKind, on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(QiError) {
        guard gateway.contacts.isContact(device) else { throw TunnelAttempt.noContact(name) }
        guard gateway.client.state.isOnline else {
            throw QiError(
                .offline, "\(name) cannot be reached: this node is not connected to \(gateway.own.domain)", hint: "qimesh status")
        }
        guard let way = MeshConfiguration.Paths.Kind(kind) else { throw QiError(.unsupported, "there is no way \(kind) to \(name)") }
        let resource = try await resource()
        let transport = try transport(way, resource)
        let key = key.fingerprint == nil ? key : later
        do throws(XMPPError) {
            _ = try await gateway.client.openBytestream(
                to: resource.jid, application: way.application, over: transport, on: eventLoop, timeout: .seconds(20)
            ) { [identity = gateway.identity, key] channel in
                channel.eventLoop.makeCompletedFuture {
                    try way.prepare(channel)
                    try identity.tls.addClientHandlers(to: channel, peer: key)
                    try channel.pipeline.syncOperations.addHandler(TunnelEndHandler())
                }
                .flatMap { install(channel) }
            }
            if way == .inBand { await gateway.peers.asked(device, answered: true) }
        } catch {
            if way == .inBand, error.code == .timedOut { await gateway.peers.asked(device, answered: false) }
            throw Self.error(error, name)
        }
    }

    /// The program to reach.
    private func resource() async throws(QiError) -> PresenceResource {
        let found = try await gateway.peers.awaitTunnelResource(of: device, name: name)
        guard let known = reached.withLock({ known in
            known = known ?? found.jid
            return known
        }), known != found.jid else { return found }
        guard let same = gateway.client.resources(of: device).first(where: { $0.jid == known && $0.isAvailable }) else {
            throw QiError(.offline, "\(known) is offline")
        }
        return same
    }

    /// The key of a further path: compared with the one that is known, and with that of the first path, which may not be pinned yet.
    private var later: PeerKey {
        PeerKey { [key, name, outgoing = gateway.keys.outgoing(name)] shown throws(MeshError) in
            guard shown == key.fingerprint else { throw MeshError(.trust, "what answers there is not \(name): it shows another key") }
            guard outgoing.examined(.success(shown)) else { throw outgoing.refusal ?? MeshError(.trust, "the key of \(name) is refused") }
        }
    }

    private func transport(_ way: MeshConfiguration.Paths.Kind, _ resource: PresenceResource) throws(QiError) -> BytestreamTransport {
        guard way != .inBand else { return .inBand }
        guard resource.disco?.has(Namespaces.socks5) == true else {
            throw QiError(.unsupported, "\(name) takes no SOCKS5 bytestreams (paths.order there)")
        }
        guard let options = gateway.ways.options(for: way) else { throw QiError(.unsupported, "\(way.rawValue) is off (paths.order)") }
        return .socks5(options)
    }

    /// Where none of the candidates works, the message has them all.
    private static func error(_ error: XMPPError, _ name: String) -> QiError {
        error.code == .noPath ? QiError(.offline, error.message, cause: error) : XMPPGateway.pathError(error, name)
    }

    private enum Namespaces {
        /// XEP-0260 §3.
        static let socks5 = "urn:xmpp:jingle:transports:s5b:1"
    }
}

extension MeshConfiguration.Paths.Kind {
    /// By which word the application of a session says what kind of path it is to be.
    private static let attribute = "path"

    init?(_ path: PathKind) { self.init(rawValue: path.name) }

    /// The kind that the opener of a path names; nil when it names none, or none that is known here.
    init?(wantedBy application: Element) {
        guard let kind = application[Self.attribute].flatMap({ Self(rawValue: $0) }) else { return nil }
        self = kind
    }

    /// What a bytestream came to be; in-band for all that says nothing, since its bound on bytes is the narrowest.
    init(_ report: BytestreamReport) { self = (report.kind?.rawValue).flatMap { Self(rawValue: $0) } ?? .inBand }

    var path: PathKind {
        switch self {
        case .direct: .direct
        case .proxy: .proxy
        case .inBand: .inBand
        }
    }

    /// The application of a session that carries such a path.
    var application: Element {
        Element("description", namespace: MeshNamespaces.stream, attributes: [Self.attribute: rawValue])
    }

    /// What comes later can pass only what has not been given to the path yet: a narrow one is given one piece at a time.
    func prepare(_ channel: any Channel) throws {
        switch self {
        case .inBand: try channel.syncOptions?.setOption(.writeBufferWaterMark, value: .init(low: 1, high: 1))
        case .proxy, .direct: try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
        }
    }
}

extension PathKind {
    /// A TCP connection between two devices.
    static let direct = PathKind("direct")
    /// Through a proxy of a server (XEP-0065).
    static let proxy = PathKind("proxy")
}

extension XMPPGateway {
    /// What a path lets through now.
    func width(of kind: PathKind) -> PathWidth {
        guard kind == .inBand else {
            var width = PathWidth.wide
            // What goes out again when it dies has to go in-band.
            if ways.order.contains(.inBand) { width.unconfirmed = 32 << 10 }
            return width
        }
        let status = client.inBandStatus
        let rate = status.bytesPerSecondUp.map(Double.init)
        // A third of a second at a time, so that what comes later waits for no longer; until that is known, an eighth of what may be
        // under way.
        let piece = min(max(rate.map { Int($0 / 3) } ?? min(status.limit / 8, 2048), 256), 4000)
        // What it carries in 4 s: a confirmation takes 2 s and the way. Until that is known, a bytestream's window of 64 KiB and what one
        // confirmation more is for.
        let known = rate.map { max(16 << 10, Int(min($0 * 4, Double(PathWidth.mostUnconfirmed)))) }
        return PathWidth(piece: piece, most: ways.inBandMax, rate: rate, unconfirmed: known ?? 96 << 10)
    }
}
