import NIOCore
import NIOEmbedded
import NIOPosix
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// Objects that pass between devices: who holds them, and what becomes of them when somebody lets go, or is gone.
@Suite(.timeLimit(.minutes(8))) struct PassedObjectTests {
    /// Runs `body` with a keeper that another process of the far device hosts, and a session of the near one that uses it.
    private static func with(
        access: AccessControl? = nil,
        _ body: (_ keeper: Keeper, _ service: ObjectProxy, _ near: DirectoryServer, _ far: FarStream) async throws -> Void
    ) async throws {
        try await FarStream.with(access: access) { near, endpoint, far in
            try await withFolder { folder in
                // Who calls is told on a unix socket alone.
                let inside = try await far.server.listen(at: #require(Endpoint("unix:\(folder)/far.sock")))
                let local = try await near.listen(at: #require(Endpoint("unix:\(folder)/near.sock")))
                try await withSession(inside.endpoint) { host in
                    let keeper = Keeper()
                    _ = try await host.register(keeper.object, as: "Keeper")
                    try await withSession(local.endpoint) { session in
                        try await body(keeper, try await session.service("pepper/Keeper"), near, far)
                    }
                }
                await local.close()
                await inside.close()
            }
        }
    }

    private static func expectNothingLeft(_ near: DirectoryServer, _ far: FarStream) async throws {
        for server in [near, far.server] {
            try await eventually("release of everything") { try await server.objectCounts() == [0, 0, 0] }
        }
    }

    @Test func aPassedObjectLivesUntilItsLastHolderLetsGo() async throws {
        try await Self.with { keeper, service, near, far in
            let lives = Lives()
            do {
                let deep = QiValue.map([QiMapEntry(key: .string("deep"), value: lives.proxy("b"))])
                let value = QiValue.list([lives.proxy("a"), deep].map { .dynamic(QiDynamic($0)) })
                #expect(try await service.call("keep", arguments: [.dynamic(QiDynamic(value))], deadline: .seconds(60)) == .int32(2))
            }
            #expect(await keeper.ask("hello") == ["a called with hello", "b called with hello"])
            #expect(lives.heard == ["hello by pepper@test", "hello by pepper@test"])
            #expect(lives.count == 2)
            keeper.release(1)
            try await lives.expect(1, "one was let go")
            #expect(await keeper.ask("x") == ["a called with x"])
            keeper.release(1)
            try await lives.expect(0, "all were let go")
            try await Self.expectNothingLeft(near, far)
        }
    }

    @Test func bothSidesUseWhatTheOtherPassesAndReturns() async throws {
        try await Self.with { keeper, service, near, far in
            let lives = Lives()
            let answer = try await service.call("give", arguments: [lives.proxy()], deadline: .seconds(60))
            #expect(answer == .string("own called with take by thing"))
            #expect(keeper.own.heard == ["take by thing by desk@test"])
            _ = try await service.call("keep", arguments: [.dynamic(QiDynamic(lives.proxy("first")))], deadline: .seconds(60))
            do {
                // Each returns the next one.
                var last = try #require(keeper.proxies.first)
                for _ in 0..<5 { last = try ObjectProxy(qiValue: try await last.call("make", arguments: [])) }
                let told = try await last.events(of: "told")
                for text in ["one", "two"] { _ = try await last.call("tell", arguments: [.string(QiString(text))]) }
                #expect(await told.first() == [.string("one")])
                #expect(await told.first() == [.string("two")])
                told.stop()
            }
            keeper.release(1)
            try await lives.expect(0, "the whole row was let go")
            try await keeper.own.expect(0, "the service's own was let go")
            try await Self.expectNothingLeft(near, far)
        }
    }

    @Test func objectsInEventsAndPropertiesAreReleasedOnBothSides() async throws {
        try await Self.with { keeper, service, near, far in
            let lives = Lives()
            let events = try await service.events(of: "made")
            // By the client: its service, and through that the client itself, hears of it.
            try service.emit("made", arguments: [lives.proxy("sent")])
            do {
                let value = try #require(await events.first()?.first)
                let answer = try await ObjectProxy(qiValue: value).call("called", arguments: [.string("event")])
                #expect(answer == .string("sent called with event"))
            }
            try await lives.expect(0, "what the client emitted")
            events.stop()
            try await service.setProperty("shown", .dynamic(QiDynamic(lives.proxy("left"))))
            do {
                let value = try await service.property("shown").value
                let shown = try ObjectProxy(qiValue: value)
                #expect(try await shown.call("called", arguments: [.string("property")]) == .string("left called with property"))
                #expect(lives.count == 1)
            }
            try await service.setProperty("shown", .dynamic(QiDynamic(.int32(0))))
            try await lives.expect(0, "what the client put into a property")
            try await Self.expectNothingLeft(near, far)
        }
    }

    @Test func postsToAPassedObjectKeepTheirOrder() async throws {
        try await Self.with { keeper, service, _, _ in
            let lives = Lives()
            _ = try await service.call("keep", arguments: [.dynamic(QiDynamic(lives.proxy()))], deadline: .seconds(60))
            let proxy = try #require(keeper.proxies.first)
            for number in 0..<100 { try proxy.post("called", arguments: [.string(QiString("\(number)"))]) }
            _ = try await proxy.call("called", arguments: [.string("end")])
            try await eventually("all posts") { lives.heard.count == 101 }
            #expect(lives.heard.map { $0.split(separator: " ")[0] } == (0..<100).map { "\($0)" } + ["end"])
        }
    }

    @Test func whatAPathLosesIsKeptAndWhatAStreamLosesIsReleased() async throws {
        try await Self.with { keeper, service, near, far in
            let lives = Lives()
            _ = try await service.call("keep", arguments: [.dynamic(QiDynamic(lives.proxy()))], deadline: .seconds(60))
            try await far.losePath()
            #expect(await keeper.ask("again") == ["thing called with again"])
            #expect(lives.count == 1)
            near.dropDevice(FarStream.address, QiError(.disconnected, "the stream is over"))
            try await lives.expect(0, "the stream has ended")
            let answers = await keeper.ask("gone")
            #expect(answers.count == 1 && answers[0].contains("an object passed to Keeper"), "\(answers)")
            keeper.release(1)
            try await Self.expectNothingLeft(near, far)
        }
    }

    @Test func anObjectOfAClientThatIsGoneFailsInWords() async throws {
        try await FarStream.with { near, endpoint, far in
            let keeper = Keeper()
            _ = try await far.server.register(keeper.object, as: "Keeper")
            let lives = Lives()
            try await withSession(endpoint) { session in
                _ = try await session.service("pepper/Keeper").call(
                    "keep", arguments: [.dynamic(QiDynamic(lives.proxy()))], deadline: .seconds(60))
                #expect(try await near.objectCounts() == [1, 0, 1])
            }
            #expect(lives.count == 0)
            let answers = await keeper.ask("gone")
            #expect(answers.count == 1 && answers[0].contains("an object passed to pepper@test/Keeper"), "\(answers)")
            // It counts for no client any more, and is forgotten with its holder.
            #expect(try await near.objectCounts() == [1, 0, 0])
            keeper.release(1)
            try await Self.expectNothingLeft(near, far)
        }
    }

    @Test func objectsOfCallsThatAreRefusedOrFailAreReleased() async throws {
        let control = AccessControl(
            PermissionPolicy(rules: [.of(.jid("desk@test"), allow: ["Keeper.ask", "Keeper.refuse", "Keeper.made"])]))
        try await Self.with(access: control) { keeper, service, near, far in
            let lives = Lives()
            let denied = await #expect(throws: QiError.self) {
                _ = try await service.call("keep", arguments: [.dynamic(QiDynamic(lives.proxy()))], deadline: .seconds(60))
            }
            #expect(denied?.message.contains("denied: desk@test may not call Keeper.keep") == true)
            await #expect(throws: QiError.self) { try await service.setProperty("shown", .dynamic(QiDynamic(lives.proxy()))) }
            await #expect(throws: QiError.self) { _ = try await service.call("refuse", arguments: [lives.proxy()]) }
            // A value of a shape that the method does not take: it holds an object, too.
            await #expect(throws: QiError.self) { _ = try await service.call("refuse", arguments: [.list([lives.proxy()])]) }
            try await lives.expect(0, "no call took them")
            try await Self.expectNothingLeft(near, far)
        }
    }

    /// A bytestream alone, as nodes of before have.
    @Test func objectsPassWithoutAStreamToo() async throws {
        try await FarDevice.with { near, endpoint, far in
            let keeper = Keeper()
            _ = try await far.register(keeper.object, as: "Keeper")
            let lives = Lives()
            try await withSession(endpoint) { session in
                let service = try await session.service("pepper/Keeper")
                _ = try await service.call("keep", arguments: [.dynamic(QiDynamic(lives.proxy()))], deadline: .seconds(60))
                #expect(await keeper.ask("x") == ["thing called with x"])
                keeper.release(1)
                try await lives.expect(0, "it was let go")
                #expect(try await near.objectCounts() == [0, 0, 0])
            }
        }
    }

    // MARK: - Calls that the peer never gets

    /// How many objects are hosted behind a call with one, before and after it was cancelled, or answered.
    private static func held(
        hasLeft: Bool = true, _ end: @escaping @Sendable (Connection, UInt32) throws -> Void
    ) async throws -> [Int] {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        await loop.start()
        let result: Result<[Int], any Error>
        do {
            result = .success(
                try await loop.run { (bus) async throws(QiError) in
                    do {
                        return try callWithObject(on: bus, hasLeft: hasLeft, end)
                    } catch {
                        throw error as? QiError ?? QiError(.invalid, "\(error)")
                    }
                })
        } catch {
            result = .failure(error)
        }
        await loop.shutDown()
        return try result.get()
    }

    private static let action = ActionAddress(service: 10, object: 1, action: 100)

    private static func callWithObject(on bus: Bus, hasLeft: Bool, _ end: (Connection, UInt32) throws -> Void) throws -> [Int] {
        let stream = StreamChannel(
            id: .random(), limits: ConnectionLimits().stream(resume: .seconds(30)), on: bus.eventLoop, logger: quiet)
        let connection = try QiPipeline.install(
            on: stream, bus: bus, role: .client, origin: .device(name: "pepper@test", by: .inBand), owner: nil, limits: ConnectionLimits())
        stream.attach(StreamPath(EmbeddedChannel(), .inBand), peer: (received: 0, window: 1 << 20), first: 0)
        // Without a path the call waits.
        if !hasLeft { _ = stream.leavePath() }
        let object = try connection.offer(ObjectBuilder(), inService: 10, isPassed: true).reference.address
        let payload = ByteBuffer(repeating: 0, count: 50_000)
        let id = connection.call(action, payload, flags: [], end: .never, objects: [object], waiter: .closure { _ in })
        connection.flush()
        let before = connection.bound.count
        try end(connection, #require(id))
        let after = connection.bound.count
        connection.close(.unneeded("the test is over"))
        return [before, after]
    }

    @Test func objectsOfACallThatIsTakenBackAreReleasedAndThoseOfOneThatHasLeftAreThePeers() async throws {
        for hasLeft in [false, true] {
            #expect(try await Self.held(hasLeft: hasLeft) { $0.cancel($1) } == [1, hasLeft ? 1 : 0])
            let given = QiError(.timedOut, "given up")
            #expect(try await Self.held(hasLeft: hasLeft) { $0.abandon($1, given) } == [1, hasLeft ? 1 : 0])
        }
    }

    @Test func objectsOfACallToNoObjectAreReleasedAndThoseOfAnyOtherErrorAreThePeers() async throws {
        for (text, left) in [("The call request could not be handled.", 0), ("it went wrong", 1)] {
            let held = try await Self.held { connection, id in
                var payload = ByteBuffer()
                payload.writeErrorPayload(text)
                connection.dispatch(Message(kind: .error, id: id, address: Self.action, payload: payload))
                #expect(connection.argumentObjects.isEmpty)
            }
            #expect(held == [1, left], "\(text)")
        }
    }
}
