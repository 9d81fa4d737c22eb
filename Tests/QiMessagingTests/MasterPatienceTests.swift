import Logging
import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// A master directory that is away, or wants to be asked later: the member asks with pauses, and says once that it is away.
@Suite(.timeLimit(.minutes(8))) struct MasterPatienceTests {
    /// A directory of which only what a member needs is there. It refuses the first registrations.
    private final class BusyMaster: ConnectionOwner {
        static let refusals = 3
        static let pause = Duration.milliseconds(300)

        let asked: Mutex<Int>
        private var object: LocalObject?

        init(bus: Bus) {
            asked = Mutex(0)
            var builder = MetaObjectBuilder()
            var methods: [UInt32: LocalObject.LoopMethod] = [:]
            func add(
                _ uid: UInt32, _ name: String, _ parameters: Signature, _ returns: Signature,
                _ body: @escaping () -> Result<QiValue, QiError>
            ) {
                builder.addMethod(name, parameters: parameters, returns: returns, uid: uid)
                methods[uid] = { [weak self] call, _ in
                    switch body() {
                    case .failure(let error): call.fail(error.wireText)
                    case .success(let value):
                        guard let object = self?.object, let method = object.members.method(uid) else { return call.fail("ended") }
                        object.reply(to: call, value, method)
                    }
                }
            }
            add(WellKnownActions.service, "service", "(s)", ServiceInfo.signature) { .failure(QiError(.notFound, "no such service")) }
            add(WellKnownActions.services, "services", "()", Signature(.list(ServiceInfo.signature.type))) { .success(.list([])) }
            add(WellKnownActions.registerService, "registerService", Signature(.tuple([ServiceInfo.signature.type])), "I") { [weak self] in
                let count = self?.asked.withLock { count in
                    count += 1
                    return count
                } ?? 0
                if count > Self.refusals { return .success(.uint32(7)) }
                return .failure(QiError(.limit, "too many registrations: \(QiError.tryAgain(in: TimeAmount(Self.pause)))"))
            }
            add(WellKnownActions.serviceReady, "serviceReady", "(I)", "v") { .success(.void) }
            builder.addSignal("serviceAdded", "(Is)", uid: WellKnownActions.serviceAdded)
            builder.addSignal("serviceRemoved", "(Is)", uid: WellKnownActions.serviceRemoved)
            object = LocalObject(bus: bus, members: MemberTable(builder.build()), methods: methods, takesPostedSignals: false)
        }

        func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
            address == .serviceDirectory ? object : nil
        }
        func opened(_ connection: Connection) {}
        func closed(_ connection: Connection, _ reason: CloseReason) {}
    }

    @Test func aMasterThatWantsToBeAskedLaterIsAskedLater() async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let master = try await loop.run { (bus) async throws(QiError) in NIOLoopBound(BusyMaster(bus: bus), eventLoop: bus.eventLoop) }
        let owner = try await loop.run { (bus) async throws(QiError) in
            NIOLoopBound<any ConnectionOwner>(master.value, eventLoop: bus.eventLoop)
        }
        let listener = try await Listener.open(
            at: #require(Endpoint("tcp://127.0.0.1:0")), on: loop, transports: TransportSet(), owner: owner, limits: ConnectionLimits())
        let board = try await DirectoryServer.make(
            on: BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet), machineID: "arm-machine")
        try await board.join(master: listener.endpoint)
        let start = ContinuousClock.now
        let hosted = try await board.register(ProbeTests.probeObject(), as: "Arm")
        #expect(hosted.serviceID == 7)
        #expect(ContinuousClock.now - start >= BusyMaster.pause * BusyMaster.refusals)
        let asked = try await loop.run { (_) async throws(QiError) in master.value.asked.withLock { $0 } }
        #expect(asked == BusyMaster.refusals + 1)
        await board.loop.shutDown()
        await listener.close()
        await loop.shutDown()
    }

    @Test func pausesAreAsLongAsAnErrorSaysWithinReason() {
        var backoff = Backoff(first: .milliseconds(100), most: .seconds(2))
        var error = QiError(.limit, "too many")
        #expect(backoff.next(after: error) <= .milliseconds(100))
        error.retryAfter = .seconds(7)
        #expect(backoff.next(after: error) == .seconds(7))
        error.retryAfter = .seconds(86_400)
        #expect(backoff.next(after: error) == .seconds(60))
    }

    @Test func aMasterThatIsAwayIsSaidOnceAndSoIsItsReturn() async throws {
        try await withFolder { folder in
            let log = RecordedLog(level: .debug)
            let master = try MortalDirectory(in: folder, name: "master", machineID: "head-machine")
            let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: log.logger)
            let board = try await DirectoryServer.make(on: loop, machineID: "arm-machine")
            try await board.join(master: master.endpoint)
            let away = "warning a directory is not reached, and is tried again"
            // Tried some more times.
            await log.wait(for: "debug a directory is not reached", count: 3)
            #expect(log.count(away, master.endpoint.text, "No such file or directory", "the master directory") == 1)
            #expect(log.count("warning") == 1)
            try await master.start()
            await log.wait(for: "info directory joined", master.endpoint.text)
            try await master.kill()
            await log.wait(for: away, count: 2)
            #expect(log.count("warning directory lost") == 1)
            await loop.shutDown()
        }
    }

    /// Two follow it there: one says so, and calls it what it is.
    @Test func aDirectoryBehindAGatewayIsNoMaster() async throws {
        try await withFolder { folder in
            let log = RecordedLog()
            let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: log.logger)
            let inside = try MortalDirectory(in: folder)
            var options = TCPGateway.Options(directory: inside.endpoint, machineID: "gateway-machine")
            options.allowsPlain = true
            options.access = AccessControl(PermissionPolicy())
            let gateway = try await TCPGateway.open(options, at: [#require(Endpoint("tcp://127.0.0.1:0"))], on: loop)
            let away = "warning a directory is not reached, and is tried again"
            await log.wait(for: away)
            try await inside.start()
            try await gateway.hasJoined()
            let lines = log.lines
            #expect(log.count(away, "the directory behind the gateway") == 1 && log.count("warning") == 1, "\(lines)")
            #expect(log.count("master") == 0, "\(lines)")
            await gateway.close()
            try await inside.kill()
            await loop.shutDown()
        }
    }
}
