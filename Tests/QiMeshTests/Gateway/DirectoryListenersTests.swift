import Foundation
import NIOPosix
@testable import QiMesh
@testable import QiMessaging
import Synchronization
import Testing

/// Where the robot's own bus is listened at, while interfaces, addresses and names come and go.
@Suite(.timeLimit(.minutes(8))) struct DirectoryListenersTests {
    /// What is wanted now, and whoever listens there.
    private final class Bench: Sendable {
        let wanted: Mutex<Result<InternalListening, MeshError>>
        /// How often it was asked what is wanted.
        let asked = Atomic<Int>(0)
        let log = RecordedLog()
        let server: DirectoryServer
        let door: DirectoryServer.Door
        let listeners: DirectoryListeners

        init(_ urls: [String], missing: [String] = [], networks: [IPNetwork]? = nil, follows: Bool = true) async throws {
            wanted = Mutex(.success(try Self.listening(urls, missing, networks)))
            let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
            server = try await DirectoryServer.make(on: loop, machineID: "test-machine")
            door = try await server.internalDoor()
            let box = Box()
            listeners = DirectoryListeners(
                server, door: door, follows: follows, pause: .milliseconds(20), logger: log.logger,
                wanted: { () throws(MeshError) in
                    guard let bench = box.bench.withLock({ $0 }) else { throw MeshError(.system, "no bench") }
                    bench.asked.add(1, ordering: .relaxed)
                    return try bench.wanted.withLock { $0 }.get()
                })
            box.bench.withLock { $0 = self }
        }

        private final class Box: Sendable { let bench = Mutex<Bench?>(nil) }

        private static func listening(_ urls: [String], _ missing: [String], _ networks: [IPNetwork]?) throws -> InternalListening {
            var listening = try InternalListening(nil, urls)
            (listening.missing, listening.networks) = (missing, networks)
            return listening
        }

        func want(_ urls: [String], missing: [String] = [], networks: [IPNetwork]? = nil) throws {
            let next = try Self.listening(urls, missing, networks)
            wanted.withLock { $0 = .success(next) }
        }

        /// Runs `body` while they run.
        func running(_ body: () async throws -> Void) async throws {
            try await withThrowingTaskGroup { group in
                group.addTask { [self] in await listeners.run {} }
                do { try await body() } catch {
                    group.cancelAll()
                    throw error
                }
                group.cancelAll()
                try await group.waitForAll()
            }
            await listeners.close()
            await server.loop.shutDown()
        }

        func until(_ what: String, _ isSo: () async throws -> Bool) async throws {
            _ = try await eventually("\(what); \(log.lines)") { try await isSo() ? true : nil }
        }

        /// It was tried again, twice from the beginning to the end.
        func tryAgain() async throws {
            let before = asked.load(ordering: .relaxed)
            try await until("tried again") { asked.load(ordering: .relaxed) >= before + 3 }
        }

        /// What the directory tells.
        var told: [String] {
            get async throws {
                let directory = server.directory
                return try await server.loop.run { (_) async throws(QiError) in directory.value.endpoints }
            }
        }

        var networks: [IPNetwork]? {
            get async throws {
                let gate = door.gate
                return try await server.loop.run { (_) async throws(QiError) in gate.value.networks }
            }
        }
    }

    /// A port that nobody is given by the system meanwhile: not of the range that it takes them from (`ip_local_port_range`).
    private static func freePort() async throws -> Int {
        while true {
            let port = Int.random(in: 20_000..<30_000)
            guard let probe = try? await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "0.0.0.0", port: port).get()
            else { continue }
            try await probe.close()
            return port
        }
    }

    @Test func anInterfaceThatComesIsListenedAtAndOneThatGoesNoMore() async throws {
        let port = try await Self.freePort()
        let (first, second) = ("tcp://127.0.0.1:\(port)", "tcp://127.0.0.2:\(port)")
        let home = try #require(IPNetwork("10.0.1.0/24"))
        let bench = try await Bench([first], missing: ["the interface eth1"], networks: [])
        try await bench.listeners.open()
        #expect(bench.listeners.endpoints == [first] && bench.listeners.missing == ["the interface eth1"])
        try await bench.running {
            try await bench.until("said") { bench.log.count("warning", "is waited for", "the interface eth1") == 1 }
            try bench.want([first, second], networks: [home])
            try await bench.until("opened") { bench.listeners.endpoints == [first, second] }
            try await bench.until("told") { try await bench.told == [first, second] }
            let networks = try await bench.networks
            #expect(networks == [home] && bench.listeners.missing.isEmpty)
            #expect(bench.log.count("notice", "is there now", "the interface eth1") == 1)
            try bench.want([second], networks: [home])
            try await bench.until("closed") { try await bench.told == [second] }
            await #expect(throws: (any Error).self) {
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(host: "127.0.0.1", port: port).get()
            }
            #expect(bench.log.count("warning") == 1)
        }
    }

    @Test func interfacesThatCannotBeUsedAreSaidOnceAndAllStays() async throws {
        let bench = try await Bench(["tcp://127.0.0.1:0"])
        try await bench.listeners.open()
        let before = bench.listeners.endpoints
        try await bench.running {
            bench.wanted.withLock { $0 = .failure(MeshError(.system, "they cannot be listed")) }
            try await bench.until("said") { bench.log.count("warning", "they cannot be listed") == 1 }
            try await bench.tryAgain()
            try bench.want(["tcp://127.0.0.1:0", "tcp://127.0.0.2:0"])
            try await bench.until("opened") { bench.listeners.endpoints.count == 2 }
            #expect(bench.listeners.endpoints.first == before.first && bench.log.count("warning") == 1)
        }
    }

    /// 192.0.2.0/24 is nobody's (RFC 5737), and `.invalid` no name (RFC 6761).
    @Test func addressesAndNamesThatAreNotThereAreWaitedFor() async throws {
        let urls = ["tcp://192.0.2.1:9559", "tcp://no-such-host.invalid:9559", "tcp://127.0.0.1:0"]
        let bench = try await Bench(urls, follows: false)
        try await bench.listeners.open()
        #expect(bench.listeners.endpoints.count == 1)
        #expect(bench.listeners.missing == Array(urls.prefix(2)))
        #expect(bench.log.count("warning", "192.0.2.1:9559: Cannot assign requested address") == 1)
        #expect(bench.log.count("warning", "the name no-such-host.invalid is not known") == 1)
        try await bench.running {}
    }

    @Test func anAddressThatCameAndIsTakenIsSaidOnce() async throws {
        let squatter = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
        let taken = "tcp://127.0.0.1:\(try #require(squatter.localAddress?.port))"
        let bench = try await Bench(["tcp://127.0.0.2:0"])
        try await bench.listeners.open()
        try await bench.running {
            try bench.want(["tcp://127.0.0.2:0", taken])
            try await bench.until("said") { bench.log.count("warning", "\(taken) is in use by another process") == 1 }
            try await bench.tryAgain()
            try await squatter.close()
            try await bench.until("opened") { bench.listeners.endpoints.contains(taken) }
            #expect(bench.log.count("in use") == 1)
        }
    }

    @Test func takenAtTheStartSaysWhereToListenElsewhere() async throws {
        let squatter = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
        let bench = try await Bench(["tcp://127.0.0.1:\(try #require(squatter.localAddress?.port))"])
        let error = await #expect(throws: MeshError.self) { try await bench.listeners.open() }
        #expect(error?.code == .system && error?.message.contains("in use by another process") == true)
        #expect(error?.hint?.contains("internal.listen") == true)
        try await squatter.close()
        await bench.listeners.close()
        await bench.server.loop.shutDown()
    }

    @Test func oneAddressUnderTwoNamesIsOne() async throws {
        let port = try await Self.freePort()
        for (names, open) in [(["127.0.0.1", "localhost"], "127.0.0.1"), (["127.0.0.1", "0.0.0.0"], "0.0.0.0")] {
            let bench = try await Bench(names.map { "tcp://\($0):\(port)" }, follows: false)
            try await bench.listeners.open()
            #expect(bench.listeners.endpoints == ["tcp://\(open):\(port)"] && bench.listeners.missing.isEmpty)
            #expect(bench.log.lines.isEmpty)
            try await bench.running {}
        }
    }
}
