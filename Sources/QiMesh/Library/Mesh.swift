import Foundation
import NIOPosix
public import QiMessaging
import Synchronization
import XMPP

/// A program's place in the mesh: logs in to an XMPP account, lets devices in, sees them come and go, and uses their services.
///
///     let mesh = try await Mesh.join(jid: "op@lab.example", password: .file("op.pw"))
///     try await mesh.invite("pepper@lab.example", name: "pepper")
///     let pepper = try await mesh.device("pepper", waitOnline: .seconds(30))
///     let speech = try await pepper.service("ALTextToSpeech")
///
/// Inviting a device is this program's word that it is let in, and is kept: `qimesh invite` and `qimesh approve` of a node with the same account
/// and state directory are as good. The server's contact list alone lets no device in.
///
/// What runs between devices is encrypted end to end. Where a node runs (`qimesh up`), a plain `Session` with it reaches the same
/// devices as `DEVICE/Service`, and needs no account.
public final class Mesh: Sendable {
    let server: DirectoryServer
    let gateway: XMPPGateway
    /// Why the account's login ended; nil inside while it has not.
    private let ending = Mutex<(any Error)??>(.none)

    private init(server: DirectoryServer, gateway: XMPPGateway) {
        self.server = server
        self.gateway = gateway
    }

    // MARK: - Lifetime

    /// Joins, runs `body`, and leaves however `body` ends.
    ///
    /// - Throws: as ``join(jid:password:options:within:)``, and what `body` throws.
    public static func with<Result: Sendable>(
        jid: String, password: PasswordSource, options: Options = Options(), within limit: Duration = .seconds(30),
        _ body: (Mesh) async throws -> Result
    ) async throws -> Result {
        let mesh = try await join(jid: jid, password: password, options: options, within: limit)
        do {
            let result = try await body(mesh)
            await mesh.leave()
            return result
        } catch {
            await mesh.leave()
            throw error
        }
    }

    /// Logs in to an account and stays logged in through every loss. The caller owes a ``leave()``; prefer
    /// ``with(jid:password:options:within:_:)``.
    ///
    /// - Parameter limit: how long the first login may take.
    /// - Throws: `authentication` for refused credentials, `denied` for a refused certificate, `configuration`, `identity` or `trust`
    ///   for what cannot be used as it is, `timedOut`.
    public static func join(
        jid: String, password: PasswordSource, options: Options = Options(), within limit: Duration = .seconds(30)
    ) async throws(MeshError) -> Mesh {
        let environment = ProcessInfo.processInfo.environment
        var paths = try MeshPaths.current()
        if let directory = options.stateDirectory { paths.stateDirectory = directory }
        let identity = try DeviceIdentity.loadOrCreate(directory: paths.stateDirectory)
        let trust = try TrustStore(file: paths.trustFile)
        let machineID = try MachineIDSource.automatic.resolve(home: paths.homeDirectory)
        let account = try options.account(jid)
        // A program is told at once that there is none; later the same is a state like any other.
        _ = try password.password(for: jid, environment: environment)
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: options.logger)
        do {
            let server = try await DirectoryServer.make(on: loop, machineID: machineID)
            let gateway = try XMPPGateway(
                account: account, password: { () throws(MeshError) in try password.password(for: jid, environment: environment) },
                device: .init(name: options.name, model: options.model), server: server, trust: trust,
                identity: CurrentIdentity(identity, directory: paths.stateDirectory), limits: .init(),
                logger: options.logger)
            try await server.connectDevices(through: AccountPaths(AccountSet(running: gateway)))
            let mesh = Mesh(server: server, gateway: gateway)
            try await mesh.logIn(within: limit)
            return mesh
        } catch {
            await loop.shutDown()
            if let error = error as? QiError { throw MeshError(.system, error.message, hint: error.hint, cause: error) }
            throw error as? MeshError ?? MeshError(.system, "\(error)", cause: error)
        }
    }

    private func logIn(within limit: Duration) async throws(MeshError) {
        let (gateway, peers) = (gateway, gateway.peers)
        await server.loop.start()
        server.loop.spawn { [self] in
            do {
                try await gateway.run()
                ending.withLock { $0 = .some(nil) }
            } catch {
                ending.withLock { $0 = .some(error) }
            }
            peers.observers.finish()
        }
        await Race.within(limit) {
            for await _ in peers.observers.changes() {
                switch gateway.client.state {
                case .online, .refused: return
                case .idle, .connecting, .waiting, .stopped: continue
                }
            }
        }
        if gateway.client.state.isOnline { return }
        if case .refused(_, _, let error) = gateway.client.state { throw refusal(error) }
        if let ended = ending.withLock({ $0 }) {
            throw ended as? MeshError ?? MeshError(.closed, "the login of \(gateway.own) ended", cause: ended)
        }
        var reason = ""
        if case .waiting(_, let error) = gateway.client.state { reason = ": \(error.message)" }
        throw MeshError(.timedOut, "\(gateway.own) is not logged in after \(limit.text)\(reason)")
    }

    /// A refused first login: a program is told, whatever its account does later.
    private func refusal(_ error: XMPPError) -> MeshError {
        let code: MeshError.Code =
            switch error.code {
            case .notAuthorized: .authentication
            case .certificate: .denied
            default: .configuration
            }
        return MeshError(code, "\(gateway.own) is not let in: \(error.message)", cause: error)
    }

    /// Says goodbye to the server and ends everything that runs over this mesh; its proxies fail from now on.
    public func leave() async {
        gateway.client.shutdown()
        await server.loop.shutDown()
    }

    // MARK: - Devices

    /// The devices that this program was told to let in: by ``invite(_:name:)``, or by a pattern of ``Options/accept``.
    public var devices: DeviceList { DeviceList(mesh: self) }

    /// The device that this program calls `name`, or that has this address.
    ///
    /// - Parameter limit: how long to wait for it to be there, and to have answered; nil takes it as it is.
    /// - Throws: `.notFound` for no such device, `.denied` when it and we have not both approved each other, or when only the server lists
    ///   it and ``invite(_:name:)`` was never called for it, `.offline` when it did not come.
    public func device(_ name: String, waitOnline limit: Duration? = nil) async throws(QiError) -> Device {
        // Its server may call it available while it hangs.
        if let limit, let jid = try? gateway.peers.contact(named: name) {
            await gateway.peers.look(at: [jid], within: min(limit, .seconds(5)))
        }
        if let limit, (try? find(name))?.state != .online {
            await Race.within(limit) { [self] in
                for await _ in gateway.peers.observers.changes(watches: true) where (try? find(name))?.state == .online { return }
            }
        }
        await gateway.learnDescriptions(within: .seconds(2))
        let device = try find(name)
        guard limit == nil || device.state == .online else {
            let seen = device.lastSeen.map { "last seen \(Int(Date().timeIntervalSince($0))) s ago" } ?? "not seen since this program joined"
            throw QiError(.offline, "\(name) is \(device.state.rawValue) (\(seen))", hint: "wait longer; there: qimesh up")
        }
        return device
    }

    private func find(_ name: String) throws(QiError) -> Device {
        guard let jid = try gateway.peers.contact(named: name), let found = devices.all.first(where: { $0.jid == "\(jid)" }) else {
            throw QiError(
                .notFound, "no device \"\(name)\"", hint: "it has to be a contact of \(gateway.own): \(devices.all.map(\.name).joined(separator: ", "))")
        }
        return found
    }

    // MARK: - Offering services

    /// Offers a service to the devices that are let in, and to this process.
    ///
    /// - Throws: `.conflict` when the name is taken.
    @discardableResult
    public func register(_ object: ObjectBuilder, as name: String) async throws(QiError) -> HostedObject {
        try await server.register(object, as: name)
    }

    /// Offers a typed implementation, as ``register(_:as:)-(ObjectBuilder,_)``.
    @discardableResult
    public func register<Binding: ServiceBinding>(_ binding: Binding, as name: String? = nil) async throws(QiError) -> HostedObject {
        try await server.register(binding.makeObject(), as: name ?? Binding.serviceName)
    }

    /// Lets a device in: names it, lets it see us, and asks to see it. This word makes a contact, and the server's contact list alone never
    /// does. It is kept in the state directory, for this account; said again, it changes the name.
    ///
    /// - Parameter name: nil for the part of its address before the `@`, if that is free.
    /// - Throws: `.invalid` for an address or a name that is none, or a name that another device has, `.timedOut` or `.offline` when the
    ///   server did not take it.
    public func invite(_ jid: String, name: String? = nil) async throws(QiError) {
        guard let address = JID(jid)?.bare, address.node != nil else {
            throw QiError(.invalid, "\"\(jid)\" is not an address of the form name@server")
        }
        try await gateway.admission.invite(address, name: name)
    }

    /// Lets a device in no more, and ends everything that runs to it.
    ///
    /// - Throws: `.invalid` for an address that is none, `.offline` when the server could not be told: the device is out all the same.
    public func remove(_ jid: String) async throws(QiError) {
        guard let address = JID(jid)?.bare, address.node != nil else {
            throw QiError(.invalid, "\"\(jid)\" is not an address of the form name@server")
        }
        do {
            try await gateway.admission.deny(address)
        } catch {
            throw error as? QiError ?? QiError(.offline, "\(address) is out, and the server could not be told", cause: error)
        }
    }
}
