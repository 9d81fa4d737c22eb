import NIOCore
import NIOPosix
import QiMeshTesting
import Synchronization
import Testing

@testable import QiMesh
@testable import QiMessaging
@testable import XMPP

/// The paths between two devices as they are in life: two clients on a Prosody of their own, in-band bytestreams through it, TCP
/// connections between the two, its SOCKS5 proxy; on each the devices' TLS.
final class LivePaths: Sendable {
    typealias Kind = MeshConfiguration.Paths.Kind

    /// What a stream's two sides kept, and how often it went over.
    struct Record {
        /// Paths that were taken, by kind.
        var taken: [Kind: Int] = [:]
        /// Paths that a test took away: cut, or silent.
        var harmed = 0
        /// Most bytes that one side kept for the other, and held for its reader.
        var mostKept = 0
        var mostHeld = 0
        /// Why paths could not be opened.
        var failures: [String] = []

        mutating func look(at stream: StreamChannel) {
            mostKept = max(mostKept, stream.machine.sender.keptBytes)
            mostHeld = max(mostHeld, stream.machine.receiver.heldBytes)
        }
    }

    /// Opens the paths.
    let robot: Party
    let desk: Party
    let record = Mutex(Record())
    private let identity: DeviceIdentity
    /// What answers on direct connections and is not the device; nil: the device does.
    private let liar: PathLie?
    private let otherIdentity: DeviceIdentity

    private init(robot: Party, desk: Party, identities: (own: DeviceIdentity, other: DeviceIdentity), liar: PathLie?) {
        self.robot = robot
        self.desk = desk
        self.liar = liar
        (identity, otherIdentity) = identities
    }

    /// Runs a test with two devices that are contacts.
    ///
    /// - Parameter liar: what answers on direct connections.
    static func with(liar: PathLie? = nil, _ body: @Sendable @escaping (LivePaths) async throws -> Void) async throws {
        try await withTemporaryDirectory { folder in
            let own = try DeviceIdentity.loadOrCreate(directory: folder + "/identity")
            let other = try DeviceIdentity.loadOrCreate(directory: folder + "/other")
            try await withFriends(proxyFor: []) { robot, desk in
                try await body(LivePaths(robot: robot, desk: desk, identities: (own, other), liar: liar))
            }
        }
    }

    /// Both devices are on this machine, so the loopback address is offered and may be dialled.
    private static func options(_ kind: Kind?) -> SOCKS5Options {
        SOCKS5Options(
            allowsDirect: kind != .proxy, allowsProxy: kind != .direct, addresses: { ["127.0.0.1"] }, permits: { _ in nil })
    }

    /// Takes the paths that robot opens.
    func accept(on eventLoop: any EventLoop, _ install: @escaping @Sendable (any Channel, Kind, PeerKey) throws -> Void) {
        desk.client.setSOCKS5Options(Self.options(nil))
        desk.client.setBytestreamHandler(applicationNamespace: MeshNamespaces.stream, on: eventLoop) { [self] _ in
            .acceptReporting { channel, report in
                channel.eventLoop.makeCompletedFuture {
                    let kind = Kind(report)
                    try kind.prepare(channel)
                    let key = PeerKey()
                    let liar = kind == .direct ? self.liar : nil
                    guard liar == nil || liar == .anotherKey else {
                        return try channel.pipeline.syncOperations.addHandler(LyingHandler(liar == .garbage))
                    }
                    try TunnelTLS(identity: liar == nil ? self.identity : self.otherIdentity).addServerHandlers(to: channel, peer: key)
                    try channel.pipeline.syncOperations.addHandler(TunnelEndHandler())
                    try install(channel, kind, key)
                }
            }
        }
    }

    /// Opens a path. `outer` is in front of TLS, `install` behind it.
    func open(
        _ kind: Kind, on eventLoop: any EventLoop, outer: @escaping @Sendable (any Channel) throws -> Void,
        install: @escaping @Sendable (any Channel) throws -> Void
    ) async throws {
        let opened = try await robot.client.openBytestream(
            to: desk.full(), application: kind.application, over: kind == .inBand ? .inBand : .socks5(Self.options(kind)), on: eventLoop,
            timeout: .seconds(20)
        ) { [identity] channel in
            channel.eventLoop.makeCompletedFuture {
                try kind.prepare(channel)
                try outer(channel)
                let known = identity.fingerprint
                let key = PeerKey { (shown) throws(MeshError) in
                    guard shown == known else { throw MeshError(.trust, "it shows another key") }
                }
                try TunnelTLS(identity: identity).addClientHandlers(to: channel, peer: key)
                try channel.pipeline.syncOperations.addHandler(TunnelEndHandler())
                try install(channel)
            }
        }
        let found = Kind(opened.report)
        guard found == kind else { throw ConformanceFailure("a path \(kind) became one \(found)") }
    }

    /// What a path lets through, as a node reckons it.
    func width(of kind: Kind, _ client: XMPPClient) -> PathWidth {
        guard kind == .inBand else { return .wide }
        let rate = client.inBandStatus.bytesPerSecondUp.map(Double.init)
        return PathWidth(piece: min(max(rate.map { Int($0 / 4) } ?? 2048, 256), 4000), rate: rate)
    }
}
