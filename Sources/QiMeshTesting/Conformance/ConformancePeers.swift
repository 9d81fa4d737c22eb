import Logging
import NIOCore
import NIOPosix
public import QiMessaging
import QiWire
import Synchronization

/// The two sides of one conformance case: a service, and a client that found it over the transport.
public struct ConformancePeers: Sendable {
    /// The service as the client sees it.
    public let proxy: ObjectProxy
    /// The service itself.
    public let hosted: HostedObject
    let service: ConformanceService
    /// Another client, which must not be harmed by what the first one does.
    let bystander: ObjectProxy
    /// Ends the service's side.
    let cut: @Sendable () async -> Void
    /// Opens a connection whose frames the case writes itself; nil where there is no channel.
    let openRaw: (@Sendable () async throws -> RawPeer)?

    /// - Parameters:
    ///   - cut: ends the service's side for good, without a word to the client.
    ///   - openRaw: nil for calls within a process.
    public init(
        proxy: ObjectProxy, hosted: HostedObject, service: ConformanceService, bystander: ObjectProxy,
        cut: @escaping @Sendable () async -> Void, openRaw: (@Sendable () async throws -> RawPeer)?
    ) {
        self.proxy = proxy
        self.hosted = hosted
        self.service = service
        self.bystander = bystander
        self.cut = cut
        self.openRaw = openRaw
    }

    func raw() async throws -> RawPeer {
        guard let openRaw else { throw ConformanceFailure("this transport has no channel: run TransportConformance.callCases") }
        return try await openRaw()
    }

    private static let machineID = "conformance"

    private static var quiet: Logger {
        var logger = Logger(label: "conformance")
        logger.logLevel = .critical
        return logger
    }

    private static func options(_ tls: TLSOptions, _ transport: (any Transport)?, inProcess: Bool = false) -> Session.Options {
        var options = Session.Options()
        options.callsInProcess = inProcess
        options.machineID = machineID
        options.logger = quiet
        options.tls = tls
        options.transports = transport.map { [$0] } ?? []
        return options
    }

    static func withDirectory(
        at address: String, server: TLSOptions, client: TLSOptions, transport: (any Transport)?,
        _ body: @Sendable (ConformancePeers) async throws -> Void
    ) async throws {
        guard let endpoint = Endpoint(address) else { throw ConformanceFailure("\(address) is no endpoint") }
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        try await ending({ await loop.shutDown() }) {
            let directory = try await DirectoryServer.make(on: loop, machineID: machineID)
            let listener = try await directory.listen(at: endpoint, tls: server, transport: transport, zone: .internal)
            try await ending({ await listener.close() }) {
                let service = ConformanceService()
                let hosted = try await directory.register(service.object, as: ConformanceService.name)
                let url = listener.endpoint.text
                try await Session.with(url, options: options(client, transport)) { session in
                    try await Session.with(url, options: options(client, transport)) { other in
                        try await body(
                            ConformancePeers(
                                proxy: session.service(ConformanceService.name), hosted: hosted, service: service,
                                bystander: other.service(ConformanceService.name), cut: { await loop.shutDown() },
                                openRaw: { try await RawPeer.connect(to: listener.endpoint, tls: client, transport: transport) }))
                    }
                }
            }
        }
    }

    static func withOneSession(_ body: @Sendable (ConformancePeers) async throws -> Void) async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        try await ending({ await loop.shutDown() }) {
            let directory = try await DirectoryServer.make(on: loop, machineID: machineID)
            guard let any = Endpoint("tcp://127.0.0.1:0") else { throw ConformanceFailure("no endpoint") }
            let listener = try await directory.listen(at: any)
            try await ending({ await listener.close() }) {
                let service = ConformanceService()
                try await Session.with(listener.endpoint.text, options: options(TLSOptions(), nil, inProcess: true)) { session in
                    let hosted = try await session.register(service.object, as: ConformanceService.name)
                    let proxy = try await session.service(ConformanceService.name)
                    try await body(
                        ConformancePeers(
                            proxy: proxy, hosted: hosted, service: service, bystander: proxy, cut: { await session.close() },
                            openRaw: nil))
                }
            }
        }
    }

    /// Runs `body`, then `end`, however it ends.
    private static func ending(_ end: () async -> Void, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            await end()
            throw error
        }
        await end()
    }
}
