public import Foundation
public import QiMessaging

/// A device of the mesh as it was when it was looked at, and the way to its services.
public struct Device: Sendable {
    /// Whether it can be used.
    public enum State: String, Sendable {
        /// It is there: it was heard within the last seconds, or its server says so and nothing speaks against it.
        case online
        /// Its server says that it is there, but it did not answer when it was asked: its process hangs, or its power or network has gone.
        case stale
        /// It is not there.
        case offline
    }

    /// What this program, or the owner of its account, calls it; its address when it has no name.
    public let name: String
    /// Its bare JID, which is who it is.
    public let jid: String
    /// What it says it is, such as `nao, NAO V6`; empty when it does not.
    public let model: String
    /// Whether it could be used when this was made.
    public let state: State
    /// When something last came from it; nil when nothing has since this program joined.
    public let lastSeen: Date?
    /// How long it took to answer when it was last asked whether it is alive, there and back through the servers; nil when it was not asked
    /// since it came.
    public let roundTrip: Duration?
    let mesh: Mesh

    init(_ peer: MeshPeer, mesh: Mesh) {
        name = peer.name
        jid = "\(peer.jid)"
        model = peer.model
        state = Device.State(rawValue: peer.state.rawValue) ?? .offline
        lastSeen = peer.lastSeen
        roundTrip = peer.roundTrip
        self.mesh = mesh
    }

    // MARK: - Its services

    /// A service of the device. The proxy survives losses of the path: calls then wait or fail with a retryable error.
    ///
    /// - Throws: `.notFound` for no such service, `.offline`, `.denied`, `.timedOut` when no tunnel can be opened within 30 s.
    public func service(_ name: String) async throws(QiError) -> ObjectProxy {
        try await mesh.server.service(name, of: jid)
    }

    /// A service of the device as a typed proxy, which `@Service` or `qimesh gen` made.
    ///
    /// - Parameter name: nil is the proxy's own.
    /// - Throws: as ``service(_:)``.
    public func service<Proxy: ServiceProxy>(_ type: Proxy.Type, named name: String? = nil) async throws(QiError) -> Proxy {
        Proxy(try await service(name ?? Proxy.serviceName))
    }

    /// The services that the device shows us.
    ///
    /// - Throws: as ``service(_:)``.
    public func services() async throws(QiError) -> [ServiceInfo] { try await mesh.server.services(of: jid) }

    // MARK: - Services of ours there

    /// Puts a service of this program into the device's own directory, under a plain name: the device's programs call it as one of their
    /// own. It stays until ``DeviceHosting/end()``, or until this program ends; when the path is lost the device keeps the name for a while
    /// (`paths.return-time` there), and the service is registered again.
    ///
    /// - Throws: `.denied` when no rule there lets this program have that name (`register`), `.conflict` when a service there has it,
    ///   `.invalid` for a name that no service can have; else as ``service(_:)``.
    public func host(_ object: ObjectBuilder, as name: String) async throws(QiError) -> DeviceHosting {
        try await mesh.server.host(object, as: name, at: jid)
    }

    /// Puts a typed implementation there, as ``host(_:as:)-(ObjectBuilder,_)``.
    ///
    /// - Parameter name: nil is the binding's own.
    public func host<Binding: ServiceBinding>(_ binding: Binding, as name: String? = nil) async throws(QiError) -> DeviceHosting {
        try await host(binding.makeObject(), as: name ?? Binding.serviceName)
    }

    // MARK: - Its path

    /// The way that calls take, measured by one: a tunnel is opened if there is none.
    ///
    /// - Throws: as ``service(_:)``.
    public var path: DevicePath {
        get async throws(QiError) {
            // The first call may open the tunnel; what matters is how long the next ones take.
            _ = try await services()
            let clock = ContinuousClock()
            let start = clock.now
            _ = try await services()
            let roundTrip = clock.now - start
            guard let kind = try await mesh.server.pathsOfDevices()[jid] else {
                throw QiError(.disconnected, "the path to \(name) was lost while it was measured")
            }
            return DevicePath(kind: kind, roundTrip: roundTrip)
        }
    }
}
