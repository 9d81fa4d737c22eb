import Glibc
public import Logging
import NIOCore
import NIOPosix
public import QiWire

/// A program's place on the bus: connects to a directory, finds and calls services, and hosts its own.
///
///     try await Session.with("tcp://127.0.0.1:9559") { session in
///         let speech = try await session.service("ALTextToSpeech")
///         _ = try await speech.call("say", arguments: [.string("Bonjour")])
///     }
///
/// A session ends with its directory connection; the structured form ``with(_:options:_:)`` closes it in every case.
public final class Session: Sendable {
    /// How a session is set up.
    public struct Options: Sendable {
        /// The machine id to go by; nil: libqi's, from this user's home.
        public var machineID: String?
        /// Where services that this session hosts listen.
        public var listen = "tcp://127.0.0.1:0"
        /// Whether a service that lives in this process is called directly: nothing is encoded and no other thread involved.
        public var callsInProcess = true
        public var limits = ConnectionLimits()
        public var logger = Logger(label: "qimessaging.session")
        public init() {}
    }

    public let loop: BusLoop
    private let core: NIOLoopBound<SessionCore>
    private let options: Options

    private init(loop: BusLoop, core: NIOLoopBound<SessionCore>, options: Options) {
        self.loop = loop
        self.core = core
        self.options = options
    }

    /// The directory that a session connects to when nothing is said.
    public static let defaultURL = "tcp://127.0.0.1:9559"

    /// Connects, runs `body`, and closes the session however `body` ends.
    public static func with<Result: Sendable>(
        _ url: String = defaultURL, options: Options = Options(), _ body: (Session) async throws -> Result
    ) async throws -> Result {
        let session = try await connect(url, options: options)
        do {
            let result = try await body(session)
            await session.close()
            return result
        } catch {
            await session.close()
            throw error
        }
    }

    /// Connects to the directory at `url`. The caller owes a ``close()``; prefer ``with(_:options:_:)``.
    ///
    /// - Throws: `.offline` when nobody answers, `.denied` when the directory refuses us, `.invalid` for a bad URL.
    public static func connect(_ url: String = defaultURL, options: Options = Options()) async throws(QiError) -> Session {
        guard let endpoint = Endpoint(url) else {
            throw QiError(.invalid, "\"\(url)\" is not an endpoint", hint: "use for example \(defaultURL)")
        }
        let machineID: String
        if let given = options.machineID {
            machineID = given
        } else {
            machineID = try MachineID.loadOrCreate(home: getenv("HOME").map { String(cString: $0) } ?? "/")
        }
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: options.logger)
        do throws(QiError) {
            let core = try await loop.run { (bus) async throws(QiError) in
                NIOLoopBound(
                    SessionCore(
                        bus: bus, machineID: machineID, directoryEndpoint: endpoint, callsInProcess: options.callsInProcess),
                    eventLoop: bus.eventLoop)
            }
            let session = Session(loop: loop, core: core, options: options)
            let connection = try await session.dial(endpoint)
            try await loop.run { (_) async throws(QiError) in try await core.value.begin(on: connection.value) }
            return session
        } catch {
            await loop.shutDown()
            throw error
        }
    }

    /// Closes every connection of the session; its proxies fail from now on.
    public func close() async {
        let core = self.core
        // Nothing here throws; `try?` only satisfies the typed signature.
        let listener = (try? await loop.run { (_) async throws(QiError) -> Listener? in
            core.value.endLocalProxies(QiError(.disconnected, "this session was closed"))
            return core.value.listener
        }) ?? nil
        await listener?.close()
        await loop.shutDown()
    }

    private func dial(_ endpoint: Endpoint) async throws(QiError) -> NIOLoopBound<Connection> {
        let core = self.core
        let owner = try await loop.run { (bus) async throws(QiError) in
            NIOLoopBound<any ConnectionOwner>(core.value, eventLoop: bus.eventLoop)
        }
        return try await Dialer.connect(to: endpoint, loop: loop, owner: owner, limits: options.limits)
    }

    // MARK: - Services

    /// All services of the directory, itself included.
    public func services(deadline: Duration = .seconds(10)) async throws(QiError) -> [ServiceInfo] {
        let core = self.core
        let end = NIODeadline.now() + TimeAmount(deadline)
        return try await loop.run { (_) async throws(QiError) in try await core.value.services(deadline: end) }
    }

    /// What the directory says of one service.
    public func info(of name: String, deadline: Duration = .seconds(10)) async throws(QiError) -> ServiceInfo {
        let core = self.core
        let end = NIODeadline.now() + TimeAmount(deadline)
        return try await loop.run { (_) async throws(QiError) in try await core.value.info(of: name, deadline: end) }
    }

    /// The proxy of a service. A name behind a gateway, `DEVICE/Service`, has 30 s, for a tunnel may have to be set up.
    ///
    /// - Throws: `.notFound` for no such name, `.offline` when none of its endpoints answers.
    public func service(_ name: String, deadline: Duration? = nil) async throws(QiError) -> ObjectProxy {
        let core = self.core
        let loop = self.loop
        let end = NIODeadline.now() + TimeAmount(deadline ?? (name.contains("/") ? .seconds(30) : .seconds(10)))
        return try await loop.run { (_) async throws(QiError) in
            let path = try await core.value.service(name, deadline: end) { (endpoints) async throws(QiError) in
                try await self.dialFirst(of: endpoints).value
            }
            switch path {
            case .remote(let object): return ObjectProxy(loop: loop, object: object)
            case .local(let handle): return ObjectProxy(handle)
            }
        }
    }

    /// The directory itself, for its signals.
    public func directory() async throws(QiError) -> ObjectProxy { try await service("ServiceDirectory") }

    private func dialFirst(of endpoints: [Endpoint]) async throws(QiError) -> NIOLoopBound<Connection> {
        var last = QiError(.offline, "no endpoint to dial")
        for endpoint in endpoints {
            do throws(QiError) { return try await dial(endpoint) } catch { last = error }
        }
        throw last
    }

    /// Hosts an object under `name`; it listens first, if it does not yet.
    public func register(_ object: ObjectBuilder, as name: String) async throws(QiError) -> HostedObject {
        try await listenIfNeeded()
        let core = self.core
        return try await loop.run { (bus) async throws(QiError) in
            let local = object.makeObject(on: bus)
            let id = try await core.value.register(local, as: name)
            return HostedObject(object: local.object, serviceID: id)
        }
    }

    public func unregister(_ object: HostedObject) async throws(QiError) {
        let core = self.core
        try await loop.run { (_) async throws(QiError) in try await core.value.unregister(object.serviceID) }
    }

    private func listenIfNeeded() async throws(QiError) {
        let core = self.core
        let loop = self.loop
        let isListening = try await loop.run { (_) async throws(QiError) in core.value.listener != nil }
        if isListening { return }
        guard let endpoint = Endpoint(options.listen) else { throw QiError(.invalid, "\"\(options.listen)\" is not an endpoint") }
        let limits = options.limits
        let listener = try await Listener.open(at: endpoint, on: loop) { channel in
            QiPipeline.origin(of: channel).flatMapThrowing { origin in
                try SocketOptions.apply(to: channel)
                _ = try QiPipeline.install(
                    on: channel, bus: loop.bus, role: .server, origin: origin, owner: core.value, limits: limits)
            }
        }
        try await loop.run { (_) async throws(QiError) in core.value.listening(listener) }
    }
}
