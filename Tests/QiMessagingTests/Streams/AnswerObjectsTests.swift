import NIOCore
import NIOEmbedded
import NIOPosix
@testable import QiMessaging
import QiWire
import Testing

/// Objects in answers that never reach their caller: those that were given an address for the answer are not kept for it, and those that a
/// method has hosted itself are.
@Suite(.timeLimit(.minutes(8))) struct AnswerObjectsTests {
    private static var child: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("name", "()", returns: "s") { _, _ in .string("child") }
        return builder
    }

    private static func text(_ arguments: [QiValue]) -> QiValue {
        .string(QiString(String(repeating: "x", count: Int(arguments[0].asUInt32 ?? 0))))
    }

    /// Returns an object and a text of that length; the object is hosted by the method, or when it is returned.
    private static var maker: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("hosted", "(I)", returns: "(os)") { arguments, context in
            .tuple([.object(try await context.host(child).reference), text(arguments)])
        }
        builder.advertiseMethod("proxied", "(I)", returns: "(os)") { arguments, _ in .tuple([ObjectProxy(child).qiValue, text(arguments)]) }
        return builder
    }

    /// How many objects the device's node holds for those who call it from afar.
    private static func held(_ far: DirectoryServer) async throws -> Int {
        let directory = far.directory
        return try await far.loop.run { (_) async throws(QiError) in
            directory.value.deviceConnections.reduce(0) { $0 + $1.bound.count }
        }
    }

    /// Calls with an answer that is refused, and looks which objects in it are gone.
    ///
    /// - Parameter keepsHosted: whether the method has hosted them on the connection between the devices itself.
    private static func expectGone(
        _ near: DirectoryServer, _ far: DirectoryServer, _ service: String, keepsHosted: Bool
    ) async throws {
        try await withFolder { folder in
            let local = try await near.listen(at: #require(Endpoint("unix:\(folder)/sd.sock")))
            try await withSession(local.endpoint) { session in
                let maker = try await session.service("pepper/\(service)")
                for method in ["hosted", "proxied"] {
                    let before = try await held(far)
                    let kept = keepsHosted && method == "hosted" ? 5 : 0
                    do {
                        let taken = try await maker.call(method, arguments: [.uint32(10)], deadline: .seconds(60), mostBytes: 100_000)
                        #expect(try await held(far) == before + 1, "\(method): an object that was taken is not counted")
                        for _ in 0..<5 {
                            let error = await #expect(throws: QiError.self) {
                                _ = try await maker.call(method, arguments: [.uint32(50_000)], deadline: .seconds(60), mostBytes: 20_000)
                            }
                            #expect(error?.code == .limit)
                        }
                        #expect(try await held(far) == before + 1 + kept, "\(method): objects of refused answers")
                        withExtendedLifetime(taken) {}
                    }
                    // Let go of before the next method is looked at.
                    while try await held(far) > before + kept { await Task.yield() }
                }
            }
            await local.close()
        }
    }

    @Test func objectsOfAnAnswerThatIsRefusedAreReleasedUnlessTheMethodHasHostedThem() async throws {
        try await FarDevice.with(["Maker": Self.maker]) { near, _, far in
            try await Self.expectGone(near, far, "Maker", keepsHosted: true)
        }
    }

    /// The service is in another process, which is told nothing of what the caller accepts: its node refuses the answer.
    @Test func objectsOfAnAnswerThatANodeDoesNotPassOnAreReleased() async throws {
        try await FarDevice.with { near, _, far in
            let inside = try await far.listen(at: #require(Endpoint("tcp://127.0.0.1:0")))
            try await withSession(inside.endpoint) { host in
                _ = try await host.register(Self.maker, as: "Maker")
                try await Self.expectGone(near, far, "Maker", keepsHosted: false)
            }
            await inside.close()
        }
    }

    /// What became of the object in an answer whose caller cancels.
    ///
    /// - Parameters:
    ///   - hasLeft: whether all of the answer was sent before.
    ///   - isHosted: whether the object had an address before the answer.
    private static func heldAfterCancelling(hasLeft: Bool, isHosted: Bool = false) async throws -> (before: Int, after: Int) {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        await loop.start()
        let result: Result<(before: Int, after: Int), any Error>
        do {
            result = .success(
                try await loop.run { (bus) async throws(QiError) in
                    do {
                        return try answerAndCancel(on: bus, hasLeft: hasLeft, isHosted: isHosted)
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

    private static func answerAndCancel(on bus: Bus, hasLeft: Bool, isHosted: Bool) throws -> (before: Int, after: Int) {
        let stream = StreamChannel(
            id: .random(), limits: ConnectionLimits().stream(resume: .seconds(30)), on: bus.eventLoop, logger: quiet)
        let connection = try QiPipeline.install(
            on: stream, bus: bus, role: .server, origin: .device(name: "desk@test", by: .inBand), owner: nil, limits: ConnectionLimits())
        stream.attach(StreamPath(EmbeddedChannel(), .inBand), peer: (received: 0, window: 1 << 20), first: 0)
        // Without a path the answer waits.
        if !hasLeft { _ = stream.leavePath() }
        let address = ActionAddress(service: 10, object: 1, action: 100)
        let call = IncomingCall(connection: connection, message: Message(kind: .call, id: 5, address: address, payload: ByteBuffer()))
        let method = try #require(MemberTable(maker.makeObject().metaObject).method(100))
        let object: QiValue =
            isHosted ? .object(try connection.offer(child, inService: 10, isPassed: false).reference) : ObjectProxy(child).qiValue
        call.reply(with: .tuple([object, .string(QiString(String(repeating: "x", count: 50_000)))]), of: method)
        connection.flush()
        let before = connection.bound.count
        var id = ByteBuffer()
        id.writeQiUInt32(5)
        connection.dispatch(Message(kind: .cancel, id: 6, address: ActionAddress(address.target, action: 0), payload: id))
        let after = connection.bound.count
        connection.close(.unneeded("the test is over"))
        return (before, after)
    }

    @Test func theObjectOfAnAnswerThatIsTakenBackIsReleased() async throws {
        #expect(try await Self.heldAfterCancelling(hasLeft: false) == (1, 0))
    }

    @Test func theObjectThatWasHostedBeforeStaysWhenAnAnswerWithItIsTakenBack() async throws {
        #expect(try await Self.heldAfterCancelling(hasLeft: false, isHosted: true) == (1, 1))
    }

    @Test func theObjectOfAnAnswerThatHasLeftIsTheCallers() async throws {
        #expect(try await Self.heldAfterCancelling(hasLeft: true) == (1, 1))
    }

    @Test func whatHasLeftIsForgottenWhenTheNextAnswerIsSent() {
        let target = ObjectAddress(service: 10, object: 1)
        let (one, two) = (ObjectAddress(service: 10, object: 7), ObjectAddress(service: 10, object: 8))
        var objects = AnswerObjects()
        objects.keep([one], ofAnswerTo: 1, target) { _, _ in true }
        objects.keep([two], ofAnswerTo: 2, target) { _, _ in true }
        #expect(objects.count == 2)
        let elsewhere = objects.take(ofAnswerTo: 1, .serviceDirectory)
        #expect(elsewhere.isEmpty && objects.count == 2)
        objects.keep([two], ofAnswerTo: 3, target) { id, _ in id == 2 }
        #expect(objects.count == 2)
        let (gone, there) = (objects.take(ofAnswerTo: 1, target), objects.take(ofAnswerTo: 2, target))
        #expect(gone.isEmpty && there == [two])
        objects.forget(answerTo: 3)
        #expect(objects.isEmpty)
    }
}
