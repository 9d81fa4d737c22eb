import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// The recorded conversations of libqi peers, replayed against our directory and against objects of ours of the recorded shape:
/// types, flags and values of the answers are libqi's, ids and addresses are our own.
@Suite(.timeLimit(.minutes(8)))
struct ConversationReplayTests {
    private let descriptions = "libqi's Python describes methods as None"

    /// What clients and hosts say to the directory.
    @Test(arguments: [
        ("a1_handshake_services", 6), ("a2_host_and_client", 14), ("b_types", 13), ("c_signals_properties", 13),
        ("d_error_cancel_post", 13), ("e_objects", 13), ("f_unregister_disconnect", 20),
    ])
    func directory(name: String, calls: Int) async throws {
        // Where the host was recorded: or it would be reached through the directory, like one of another machine.
        try await withDirectory(machineID: "54825057-cf95-4d20-8cac-b316c4605d31") { _, endpoint in
            let replay = Replay(endpoint: endpoint, name: name)
            let compared = try await replay.run()
            #expect(compared >= calls)
        }
    }

    /// A service in the directory's process and one of the client's own.
    @Test(arguments: [("g_shared_socket", "InSd"), ("k_auth_credentials", nil)])
    func directoryWithAService(name: String, service: String?) async throws {
        try await withDirectory { directory, endpoint in
            if let service {
                var builder = ObjectBuilder()
                builder.advertiseMethod("hello", "(s)", returns: "s") { arguments, _ in
                    .string("hello \(arguments[0].asString ?? "")")
                }
                _ = try await directory.register(builder, as: service)
            }
            var replay = Replay(endpoint: endpoint, name: name)
            replay.services = [0, 1, 2]
            replay.skipped = [16: descriptions]
            let compared = try await replay.run()
            #expect(compared >= 5)
        }
    }

    /// The service `Sig`: signals, properties, emission by Post.
    @Test func signalsAndProperties() async throws {
        try await withDirectory { directory, endpoint in
            let hosted = try await directory.register(Self.signals(), as: "Sig")
            var replay = Replay(endpoint: endpoint, name: "c_signals_properties")
            replay.directions = ["client->host"]
            replay.services = [0, 2]
            replay.skipped = [36: descriptions]
            replay.onComment = { comment in
                if comment == "the service changes its own property" { try hosted.setProperty("count", .int32(6)) }
            }
            let compared = try await replay.run()
            #expect(compared == 25)
        }
    }

    /// The service `Err`: errors, a call that is cancelled, one that ignores it, a Post.
    @Test func errorsAndCancellation() async throws {
        try await withDirectory { directory, endpoint in
            _ = try await directory.register(Self.failing(), as: "Err")
            let replay = {
                var replay = Replay(endpoint: endpoint, name: "d_error_cancel_post")
                replay.directions = ["client->host"]
                replay.services = [0, 2]
                replay.skipped = [36: descriptions]
                return replay
            }()
            let compared = try await replay.run()
            #expect(compared == 5)
            try await withClient(endpoint) { client in
                let slow = ActionAddress(service: 2, object: 1, action: 104)
                let stubborn = ActionAddress(service: 2, object: 1, action: 105)
                try await client.send(.call(slow, id: 44), Self.cancel(44))
                #expect(await client.next()?.kind == .canceled)
                try await client.send(.call(stubborn, id: 47), Self.cancel(47))
                let answer = try #require(await client.next())
                #expect(answer.kind == .reply && answer.id == 47)
            }
        }
    }

    @Test func statistics() async throws {
        try await withDirectory { directory, endpoint in
            var builder = ObjectBuilder()
            builder.advertiseMethod("add", "(ii)", returns: "i") { arguments, _ in
                .int32(Int32((arguments[0].asInt ?? 0) + (arguments[1].asInt ?? 0)))
            }
            _ = try await directory.register(builder, as: "Stat")
            var replay = Replay(endpoint: endpoint, name: "h_statistics")
            replay.services = [0, 1, 2]
            replay.skipped = [
                16: descriptions, 30: "times differ; see statisticsCount", 34: "times differ", 42: descriptions,
            ]
            let compared = try await replay.run()
            #expect(compared == 21)
        }
    }

    @Test func statisticsCount() async throws {
        try await withDirectory { directory, endpoint in
            _ = try await directory.register(ProbeTests.probeObject(), as: "Probe")
            try await withSession(endpoint) { session in
                let probe = try await session.service("Probe")
                _ = try await probe.call("enableStats", arguments: [.bool(true)])
                for number in Int32(0)..<3 { _ = try await probe.call("inc", arguments: [.int32(number)]) }
                let stats = try await probe.call("stats", arguments: []).asMap ?? []
                let found = stats.first { $0.key == .uint32(103) }?.value.asTuple
                let entry = try #require(found)
                #expect(entry[0] == .uint32(3))
                let wall = entry[1].asTuple?.compactMap(\.asDouble) ?? []
                try #require(wall.count == 3)
                #expect(wall[0] > 0 && wall[0] <= wall[1] && wall[1] <= wall[2] && wall[2] < 60)
            }
        }
    }

    /// Every typed call of the recording: our host reads the arguments that libqi sent and answers the bytes that libqi answered.
    @Test func types() async throws {
        let entries = try RecordedVectors.conversation("b_types")
        let script = try Script(entries, connection: 2)
        try await withDirectory { directory, endpoint in
            try await directory.loop.run { (bus) async throws(QiError) in
                _ = try await directory.directory.value.register(script.object(on: bus), as: "Types")
            }
            var replay = Replay(endpoint: endpoint, name: "b_types")
            replay.directions = ["client->host"]
            replay.services = [0, 2]
            let compared = try await replay.run()
            #expect(compared == 60)
        }
    }

    private static func cancel(_ id: UInt32) -> Message {
        var payload = ByteBuffer()
        payload.writeQiUInt32(id)
        return Message(kind: .cancel, id: id + 1, address: ActionAddress(service: 2, object: 1, action: 0), payload: payload)
    }

    private static func signals() -> ObjectBuilder {
        var builder = ObjectBuilder(description: "None")
        builder.advertiseProperty("any", "m", initial: .void)
        builder.advertiseProperty("count", "i", initial: .int32(1))
        builder.advertiseSignal("dynone", "(m)")
        builder.advertiseMethod("fire", "(s)") { arguments, context in
            let one = QiValue.map([QiMapEntry(key: .dynamic(.string("k")), value: .dynamic(.int64(1)))])
            let points = QiValue.list([.tuple([.int32(1), .int32(2)]), .tuple([.int32(3), .int32(4)])])
            switch arguments[0].asString {
            case "typed": try context.object.emit("typed", [.int32(7), .string("seven")])
            case "one": try context.object.emit("one", [.string("\u{e9}v\u{e8}nement")])
            case "untyped":
                try context.object.emit("untyped", [.int64(1), .string("two"), .list([.dynamic(.int64(3))])])
            case "untyped0": try context.object.emit("untyped", [])
            case "dynone": try context.object.emit("dynone", [.dynamic(one)])
            case "points": try context.object.emit("points", [points])
            default: break
            }
            return .void
        }
        builder.advertiseProperty("label", "s", initial: .string(""))
        builder.advertiseSignal("one", "(s)")
        builder.advertiseSignal("points", "([(ii)<P,x,y>])")
        builder.advertiseSignal("typed", "(is)")
        builder.advertiseSignal("untyped", "m")
        return builder
    }

    private struct Failure: Error {}

    private static func failing() -> ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("badtype", "()", returns: "i") { _, _ in .string("no number") }
        builder.advertiseMethod("fail", "(i)", returns: "m") { _, _ in throw Failure() }
        builder.advertiseMethod("futfail", "()", returns: "m") { _, _ in throw Failure() }
        builder.advertiseSignal("sig", "(i)")
        builder.advertiseMethod("slow", "()", returns: "m") { _, _ in
            await untilCancelled()
            try Task.checkCancellation()
            return .void
        }
        builder.advertiseMethod("stubborn", "()", returns: "m") { _, _ in
            await untilCancelled()
            return .string("done anyway")
        }
        return builder
    }
}

/// An object with the recorded metaobject that answers each call as recorded.
private struct Script: Sendable {
    private let metaObject: MetaObject
    private let answers: [UInt32: Message]

    init(_ entries: [RecordedEntry], connection: Int) throws {
        var answers: [UInt32: Message] = [:]
        var metaObject: MetaObject?
        for entry in entries where entry.connection == connection {
            guard let hex = entry.hex else { continue }
            let message = try frame(hex)
            guard message.kind.isAnswer else { continue }
            answers[message.id] = message
            if message.address.action == WellKnownActions.metaObject {
                metaObject = try MetaObject(qiValue: message.value(MetaObject.signature))
            }
        }
        self.metaObject = try #require(metaObject)
        self.answers = answers
    }

    func object(on bus: Bus) -> LocalObject {
        final class Holder { weak var object: LocalObject? }
        let holder = Holder()
        var methods: [UInt32: LocalObject.LoopMethod] = [:]
        for method in metaObject.methods where method.uid >= WellKnownActions.firstUserAction {
            methods[method.uid] = { call, arguments in
                guard let answer = answers[call.header.id], let object = holder.object,
                    let member = object.members.method(call.address.action)
                else { return call.fail("not in the recording") }
                if answer.kind == .error { return call.fail(payload: answer.payload) }
                do {
                    #expect(arguments.count == call.argumentCount(of: member))
                    object.reply(to: call, try answer.payload.value(of: member.returns.type, flags: answer.flags), member)
                } catch {
                    Issue.record("\(method.name): \(error)")
                    call.fail("\(error)")
                }
            }
        }
        let object = LocalObject(bus: bus, members: MemberTable(metaObject), methods: methods)
        holder.object = object
        return object
    }
}

extension IncomingCall {
    /// How many arguments a method's body gets from this call.
    fileprivate func argumentCount(of member: MemberTable.Method) -> Int {
        if case .tuple(let tuple) = member.parameters.type { return tuple.members.count }
        var payload = self.payload
        return (try? payload.readQiArguments("m").values.count) ?? -1
    }
}
