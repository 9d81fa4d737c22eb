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
/// A session outlives the connection to its directory: when that is lost it connects again, at once and then after growing pauses of
/// up to 5 s, registers what it hosts under the old ids, and its proxies and subscriptions go on where the service is the same
/// (``state``). It ends with ``close()``; the structured form ``with(_:options:_:)`` closes it in every case.
public final class Session: Sendable {
    /// How a session is set up.
    public struct Options: Sendable {
        /// The machine id to go by; nil: libqi's, from this user's home.
        public var machineID: String?
        /// Where services that this session hosts listen, all at once: by default at a unix socket of their own and on TCP loopback,
        /// thus for this machine only. `unix:` alone means a new socket in a private folder. A wildcard host (`tcp://0.0.0.0:0`)
        /// means every address of this machine, which is looked at again every 5 s.
        public var listen = ["unix:", "tcp://127.0.0.1:0"]
        /// Who we say we are to the directory, where one asks: a gateway, or a robot since NAOqi 2.9. Sent to the directory and to nobody
        /// else, and only where no third can read it: over `tcps` and `tcpsm`, a unix socket and TCP loopback. Over `tcps` it takes
        /// ``TLSOptions/trust``: a check of who answers, or ``TLSOptions/Trust/unchecked`` in so many words.
        public var credentials: Credentials?
        /// Certificates for `tcps` and `tcpsm`.
        public var tls = TLSOptions()
        /// What connects and listens at endpoints of further schemes.
        public var transports: [any Transport] = []
        /// Whether a service that lives in this process is called directly: nothing is encoded and no other thread involved.
        public var callsInProcess = true
        public var limits = ConnectionLimits()
        /// What calls do while the directory, and with it their path, is away.
        public var gap = Gap.fail
        public var logger = Logger(label: "qimessaging.session")
        public init() {}
    }

    public let loop: BusLoop
    let core: NIOLoopBound<SessionCore>
    let options: Options
    let reach: SessionCore.Reach
    private let followed: SessionStates

    private init(
        loop: BusLoop, core: NIOLoopBound<SessionCore>, states: SessionStates, options: Options, reach: SessionCore.Reach
    ) {
        self.reach = reach
        self.loop = loop
        self.core = core
        followed = states
        self.options = options
    }

    /// How the session stands with its directory, now.
    public var state: State { followed.current }

    /// The present state and all that follow; a slow reader gets the latest. Ends after `.closed`.
    public var states: AsyncStream<State> { followed.follow() }

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

    /// Connects to the directory at `url`, written as people do (``Endpoint/typed(_:)``): `robot.local` is `tcp://robot.local:9559`. The
    /// caller owes a ``close()``; prefer ``with(_:options:_:)``.
    ///
    /// - Throws: `.offline` when no listener answers, `.denied` when the directory refuses us, `.invalid` for a bad URL, and for
    ///   credentials that would go over plain TCP, or to a listener that is not checked.
    public static func connect(_ url: String = defaultURL, options: Options = Options()) async throws(QiError) -> Session {
        // Transports of others have schemes of their own, and addresses that only they can complete.
        guard let endpoint = Endpoint.typed(url) ?? Endpoint(url).flatMap({ $0.kind == .other ? $0 : nil }) else {
            throw QiError(.invalid, "\"\(url)\" is not the address of a directory", hint: "write it as tcp://HOST:PORT, tcps://HOST:PORT or unix:/PATH")
        }
        try options.checkCredentials(for: endpoint)
        let machineID: String
        if let given = options.machineID {
            machineID = given
        } else {
            machineID = try MachineID.loadOrCreate(home: getenv("HOME").map { String(cString: $0) } ?? "/")
        }
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: options.logger)
        let reach = SessionCore.Reach(
            loop: loop, transports: TransportSet(options.transports, tls: options.tls), limits: options.limits,
            credentials: options.credentials)
        do throws(QiError) {
            let core = try await loop.run { (bus) async throws(QiError) in
                NIOLoopBound(
                    SessionCore(
                        bus: bus, machineID: machineID, directoryEndpoint: endpoint, callsInProcess: options.callsInProcess,
                        reach: reach, gap: options.gap),
                    eventLoop: bus.eventLoop)
            }
            let states = try await loop.run { (_) async throws(QiError) in core.value.states }
            let session = Session(loop: loop, core: core, states: states, options: options, reach: reach)
            let connection = try await session.dialDirectory()
            try await loop.run { (_) async throws(QiError) in try await core.value.remote.join(on: connection.value) }
            return session
        } catch {
            await loop.shutDown()
            throw error
        }
    }

    /// Closes every connection of the session; its proxies fail from now on.
    public func close() async {
        await endReach()
        await loop.shutDown()
    }

    // MARK: - Services

    /// All services of the directory, itself included.
    public func services(deadline: Duration = .seconds(10)) async throws(QiError) -> [ServiceInfo] {
        let core = self.core
        let end = NIODeadline.now() + TimeAmount(deadline)
        return try await loop.run { (_) async throws(QiError) in try await core.value.listedServices(deadline: end) }
    }

    /// What the directory says of one service.
    public func info(of name: String, deadline: Duration = .seconds(10)) async throws(QiError) -> ServiceInfo {
        let core = self.core
        let end = NIODeadline.now() + TimeAmount(deadline)
        return try await loop.run { (_) async throws(QiError) in try await core.value.info(of: name, until: end) }
    }

    /// The proxy of a service. A name behind a gateway, `DEVICE/Service`, has 30 s, for a tunnel may have to be set up.
    ///
    /// - Throws: `.notFound` for no such name, `.offline` when none of its endpoints answers.
    public func service(_ name: String, deadline: Duration? = nil) async throws(QiError) -> ObjectProxy {
        let core = self.core
        let loop = self.loop
        let end = NIODeadline.now() + TimeAmount(deadline ?? (name.contains("/") ? .seconds(30) : .seconds(10)))
        return try await loop.run { (_) async throws(QiError) in
            switch try await core.value.service(name, deadline: end) {
            case .remote(let object): return ObjectProxy(loop: loop, object: object)
            case .local(let handle): return ObjectProxy(handle)
            }
        }
    }

    /// The directory itself, for its signals.
    public func directory() async throws(QiError) -> ObjectProxy { try await service("ServiceDirectory") }

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
        try await loop.run { (_) async throws(QiError) in
            try await core.value.unregister(object.object, object.serviceID)
        }
    }
}
