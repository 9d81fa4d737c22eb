import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Services that a client reaches only through the directory: those of another machine by the connection that registered them
/// (libqi's "shared socket"), those behind a gateway by their look-up.
@Suite(.timeLimit(.minutes(8)))
struct ForwardingInteropTests {
    /// Another home is another machine to libqi: no client here would use the service's own endpoint.
    @Test func serviceOfAnotherMachine() async throws {
        try await withHome { home in
            try await withHome { elsewhere in
                try await withDirectory(home: home) { _, url in
                    try await withPeer("service.py", ["--url", url], home: elsewhere) { service in
                        _ = try await service.requiredLine()
                        try await withSession(url, home: home) { session in
                            let info = try await session.info(of: "Peer")
                            #expect(info.machineID == (try MachineID.loadOrCreate(home: home)))
                            #expect(info.endpoints == ["qi:ServiceDirectory", url])
                            #expect(try await session.services().map(\.endpoints) == [info.endpoints, info.endpoints])
                            try await SessionBattery(session).run()
                        }
                        try await runBattery(url, home: home)
                        try await expectRemoval(url, service: "Peer", home: home) { service.kill() }
                    }
                }
            }
        }
    }

    /// The client comes from another address than the owner.
    @Test(.enabled(if: networkAddress != nil, "this machine has no network address"))
    func clientOfAnotherAddress() async throws {
        let address = try #require(Self.networkAddress)
        try await withHome { home in
            try await withDirectory(home: home, at: "tcp://0.0.0.0:0") { _, url in
                let port = try #require(url.split(separator: ":").last)
                try await withPeer("service.py", ["--url", "tcp://127.0.0.1:\(port)"], home: home) { service in
                    _ = try await service.requiredLine()
                    try await runBattery("tcp://\(address):\(port)", home: home)
                }
            }
        }
    }

    private static var networkAddress: String? {
        let devices = (try? System.enumerateDevices()) ?? []
        return devices.compactMap(\.address?.ipAddress).first { !$0.contains(":") && !Endpoint.isLoopback(host: $0) }
    }

    /// `pepper/Peer` is a look-up that a gateway answers; its service is one hop further.
    @Test func serviceBehindAGateway() async throws {
        try await withHome { home in
            try await withHome { elsewhere in
                try await withDirectory(home: elsewhere) { _, remote in
                    try await withHome { beyond in
                        try await withPeer("service.py", ["--url", remote], home: beyond) { service in
                            _ = try await service.requiredLine()
                            try await withDirectory(home: home) { directory, url in
                                let gateway = try await FakeGateway.make(directory, to: remote)
                                try await runBattery(url, home: home, ["--service", "pepper/Peer"])
                                try await withSession(url, home: home) { try await SessionBattery($0, service: "pepper/Peer").run() }
                                try await expectRemoval(url, service: "pepper/Peer", home: home) {
                                    try await gateway.retire(directory)
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Answers for the one name `pepper/Peer` with the service `Peer` of another directory.
private final class FakeGateway: NameResolver {
    private let known: ResolvedService
    private var isRetired = false

    init(_ known: ResolvedService) { self.known = known }

    struct Handle: Sendable {
        let gateway: NIOLoopBound<FakeGateway>

        func retire(_ server: DirectoryServer) async throws {
            try await server.loop.run { (_) async throws(QiError) in
                gateway.value.isRetired = true
                server.directory.value.retire("pepper/Peer")
            }
        }
    }

    static func make(_ server: DirectoryServer, to remote: String) async throws -> Handle {
        let connection = try await Dialer.connect(
            to: #require(Endpoint(remote)),
            in: Dialer.Context(loop: server.loop, transports: TransportSet(), owner: nil, limits: ConnectionLimits()))
        return try await server.loop.run { (bus) async throws(QiError) in
            let metaObject = try await connection.value.metaObject(of: .serviceDirectory, name: "remote")
            let directory = RemoteObject(
                bus: bus, name: "remote", connection: connection.value, address: .serviceDirectory, metaObject: metaObject)
            let value = try await directory.value(
                of: WellKnownActions.service, [.string("Peer")], deadline: .now() + .seconds(10))
            guard let info = try? ServiceInfo(qiValue: value) else { throw QiError(.invalid, "no info") }
            let address = ObjectAddress.main(ofService: info.serviceID)
            let object = RemoteObject(
                bus: bus, name: "pepper/Peer", connection: connection.value, address: address,
                metaObject: try await connection.value.metaObject(of: address, name: "Peer"))
            let gateway = FakeGateway(ResolvedService(object: object, info: info))
            server.directory.value.setResolver(gateway)
            return Handle(gateway: NIOLoopBound(gateway, eventLoop: bus.eventLoop))
        }
    }

    func handles(_ name: String) -> Bool { name.contains("/") }

    func resolve(_ name: String, completion: @escaping (Result<ResolvedService, QiError>) -> Void) {
        let isKnown = name == "pepper/Peer" && !isRetired
        completion(isKnown ? .success(known) : .failure(QiError(.notFound, "no service \"\(name)\"")))
    }

    func released(_ name: String) {}

    func list(completion: @escaping (Result<[ServiceInfo], QiError>) -> Void) { completion(.success([])) }
}
