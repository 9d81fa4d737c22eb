import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Typed services: every test once over a connection and once within the process, where nothing is encoded.
@Suite(.timeLimit(.minutes(8)))
struct TypedServiceTests {
    /// Runs `body` with the greeter, its proxy, and the session that hosts it.
    private func withGreeter(
        inProcess: Bool, callType: CallType = .queued, _ body: (FriendlyGreeter, GreeterProxy, Session) async throws -> Void
    ) async throws {
        try await withDirectory { _, endpoint in
            try await withSession(endpoint) { host in
                let greeter = FriendlyGreeter()
                try await host.register(GreeterBinding(greeter, callType: callType))
                try await withSession(endpoint, callsInProcess: inProcess) { session in
                    let proxy = try await session.service(GreeterProxy.self)
                    #expect(proxy.object.isDirect == inProcess)
                    try await body(greeter, proxy, session)
                }
            }
        }
    }

    @Test(arguments: [false, true], [CallType.queued, .direct])
    func callsReturnAndThrow(inProcess: Bool, callType: CallType) async throws {
        try await withGreeter(inProcess: inProcess, callType: callType) { _, proxy, _ in
            let greeting = try await proxy.greet("Ada")
            #expect(greeting == "Hello Ada")
            let error = await #expect(throws: QiError.self) { _ = try await proxy.greet("") }
            #expect(error?.message.contains("nobody to greet") == true)
        }
    }

    @Test(arguments: [false, true])
    func dynamicCallsMeetTypedMethods(inProcess: Bool) async throws {
        try await withGreeter(inProcess: inProcess) { _, proxy, _ in
            let object = proxy.object
            let greeting: String = try await object.call("greet", "Ada")
            #expect(greeting == "Hello Ada")
            // A wrong type is for the callee to convert, or to refuse.
            let error = await #expect(throws: QiError.self) { _ = try await object.call("greet", arguments: [.int32(1)]) }
            #expect(error?.code == (inProcess ? .invalid : .remote))
            #expect(object.metaObject.methods.first { $0.name == "greet" }?.parameters.first?.name == "name")
        }
    }

    @Test(arguments: [false, true])
    func signalsArriveInOrderAndTyped(inProcess: Bool) async throws {
        try await withGreeter(inProcess: inProcess) { _, proxy, _ in
            let events = try await proxy.greeted.events()
            for name in ["Ada", "Grace", "Edsger"] { _ = try await proxy.greet(name) }
            var seen: [String] = []
            for try await (name, count) in events {
                seen.append("\(name) \(count)")
                if seen.count == 3 { break }
            }
            #expect(seen == ["Ada 1", "Grace 2", "Edsger 3"])
            events.stop()
            #expect(try await events.first { _ in true } == nil)
        }
    }

    @Test(arguments: [false, true])
    func aSlowReaderLosesEventsAndIsTold(inProcess: Bool) async throws {
        try await withGreeter(inProcess: inProcess) { greeter, proxy, _ in
            let events = try await proxy.greeted.events(buffering: .newest(2))
            for count in 1...5 { greeter.greeted.emit("x", Int32(count)) }
            // The answer to a call comes after the events emitted before it.
            _ = try await proxy.volume.get()
            var seen: [Int32] = []
            for try await (_, count) in events {
                seen.append(count)
                if seen.count == 2 { break }
            }
            #expect(seen == [4, 5])
            #expect(events.dropped == 3)
        }
    }

    @Test(arguments: [false, true])
    func propertiesAreReadWrittenAndWatched(inProcess: Bool) async throws {
        try await withGreeter(inProcess: inProcess) { greeter, proxy, _ in
            let changes = try await proxy.volume.changes()
            #expect(try await proxy.volume.get() == 7)
            try await proxy.volume.set(9)
            #expect(greeter.volume.value == 9)
            greeter.volume.value = 11
            try await proxy.volume.set(11)
            var seen: [Int32] = []
            for try await value in changes {
                seen.append(value)
                if seen.count == 3 { break }
            }
            #expect(seen == [9, 11, 11])
            #expect(try await proxy.object.property("volume") == QiDynamic(signature: "i", value: .int32(11)))
            await #expect(throws: QiError.self) { _ = try await proxy.object.setProperty("volume", .string("loud")) }
        }
    }

    @Test(arguments: [false, true])
    func objectsAreReturnedAndPassed(inProcess: Bool) async throws {
        try await withGreeter(inProcess: inProcess) { _, proxy, _ in
            let counted = try await proxy.counted.events()
            let counter = try await proxy.makeCounter(from: 4)
            #expect(try await counter.call("next") as Int32 == 5)
            for try await same in counted {
                #expect(try await same.call("next") as Int32 == 6)
                #expect(same == counter, "one object, whichever way it came")
                break
            }
            var listener = ObjectBuilder()
            listener.advertise(method: "told", parameters: [String.qiType], returns: String.qiType) { call in
                try call.reply("heard \(try call.next(String.self))")
            }
            #expect(try await proxy.callBack(ObjectProxy(listener)) == "heard news")
            // What came from there may go back there.
            await #expect(throws: QiError.self) { _ = try await proxy.callBack(counter) }
        }
    }

    /// Whoever lets go of a returned object has its owner forget it.
    @Test func aReturnedObjectIsReleased() async throws {
        try await withGreeter(inProcess: false) { _, proxy, _ in
            guard case .remote(let path) = proxy.object.handle.target else { throw QiError(.invalid, "no connection") }
            let (loop, target) = (path.loop, path.object)
            func held() async throws -> Int {
                try await loop.run { (_) async throws(QiError) in target.value.connection?.objectsHeld ?? -1 }
            }
            let before = try await held()
            do {
                let counter = try await proxy.makeCounter(from: 0)
                #expect(try await held() == before + 1)
                _ = try await counter.call("next") as Int32
            }
            // Nobody names it: it goes as well.
            _ = try await proxy.object.call("makeCounter", arguments: [.int32(1)])
            _ = try await proxy.greet("after the release")
            #expect(try await held() == before)
        }
    }

    @Test(arguments: [CallType.queued, .direct])
    func cancellingTheTaskCancelsTheMethod(callType: CallType) async throws {
        try await withGreeter(inProcess: false, callType: callType) { greeter, proxy, _ in
            var states = greeter.waiting.stream.makeAsyncIterator()
            await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await proxy.wait() }
                #expect(await states.next() == "waits")
                group.cancelAll()
                let error = await #expect(throws: QiError.self) { _ = try await group.next() }
                #expect(error?.code == .cancelled)
                #expect(await states.next() == "cancelled")
            }
            // The worker that was cancelled is not used again.
            let greeting = try await proxy.greet("Ada")
            #expect(greeting == "Hello Ada")
        }
    }

    @Test(arguments: [CallType.queued, .direct])
    func aCallerThatGoesAwayCancelsTheMethod(callType: CallType) async throws {
        try await withDirectory { _, endpoint in
            try await withSession(endpoint) { host in
                let greeter = FriendlyGreeter()
                try await host.register(GreeterBinding(greeter, callType: callType))
                var states = greeter.waiting.stream.makeAsyncIterator()
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        try? await withSession(endpoint) { session in
                            let proxy = try await session.service(GreeterProxy.self)
                            try proxy.object.post("greet", arguments: [.string("Ada")])
                            try await withThrowingTaskGroup(of: Void.self) { calls in
                                calls.addTask { try await proxy.wait() }
                                for await _ in try await proxy.object.events(of: "greeted") {}
                                try await calls.next()
                            }
                        }
                    }
                    #expect(await states.next() == "waits")
                    group.cancelAll()
                    #expect(await states.next() == "cancelled")
                }
            }
        }
    }

    @Test func aServiceThatIsGoneIsNotCalledAnyMore() async throws {
        try await withDirectory { _, endpoint in
            try await withSession(endpoint, callsInProcess: true) { session in
                let hosted = try await session.register(GreeterBinding(FriendlyGreeter()))
                let removed = try await session.directory().events(of: "serviceRemoved")
                let proxy = try await session.service(GreeterProxy.self)
                #expect(try await proxy.greet("Ada") == "Hello Ada")
                let events = try await proxy.object.events(of: "greeted")
                try await session.unregister(hosted)
                _ = await removed.first { _ in true }
                for await _ in events {}
                #expect(events.failure?.message == "Service removed")
                let error = await #expect(throws: QiError.self) { _ = try await proxy.greet("Ada") }
                #expect(error?.code == .notFound)
            }
        }
    }

    @Test func missingAndDifferentMembersSayWhatTheyAre() async throws {
        try await withDirectory { directory, endpoint in
            var other = ObjectBuilder()
            other.advertiseMethod("greet", "(m)", returns: "m") { arguments, _ in .string("dynamic \(arguments[0].asString ?? "?")") }
            _ = try await directory.register(other, as: "Greeter")
            try await withSession(endpoint) { session in
                let proxy = try await session.service(GreeterProxy.self)
                #expect(try await proxy.greet("Ada") == "dynamic Ada", "dynamic types convert")
                let error = await #expect(throws: QiError.self) { _ = try await proxy.wait() }
                #expect(error?.code == .notFound)
                #expect(error?.message.contains("Greeter.wait") == true)
                let missing = await #expect(throws: QiError.self) { _ = try await proxy.greeted.events() }
                #expect(missing?.code == .notFound)
            }
        }
    }

    /// A watched object is called the way where calls are measured, also from its own process.
    @Test(arguments: [false, true])
    func callsAreMeasuredAndTraced(inProcess: Bool) async throws {
        try await withGreeter(inProcess: inProcess) { _, proxy, _ in
            let object = proxy.object
            _ = try await object.call("enableStats", arguments: [.bool(true)])
            #expect(!proxy.object.isDirect)
            _ = try await proxy.greet("Ada")
            _ = try await proxy.greet("Grace")
            let uid = try #require(object.metaObject.methods.first { $0.name == "greet" }?.uid)
            let statistics = try await object.call("stats", arguments: []).asMap
            let entry = statistics?.first { $0.key.asUInt32 == uid }?.value.asTuple
            #expect(entry?.first == .uint32(2))
            _ = try await object.call("enableStats", arguments: [.bool(false)])

            let traces = try await object.events(of: "traceObject")
            _ = try await proxy.greet("Edsger")
            await #expect(throws: QiError.self) { _ = try await proxy.greet("") }
            var kinds: [Int] = []
            for await event in traces {
                let fields = event.first?.asTuple ?? []
                if fields.count == 9, fields[2].asUInt32 == uid { kinds.append(fields[1].asInt.map(Int.init) ?? 0) }
                if kinds.count == 4 { break }
            }
            #expect(kinds.sorted() == [1, 1, 2, 3])
            traces.stop()
        }
    }

    /// The loop that a call runs on is the loop that the caller is on: no other thread is involved.
    @Test func aCallerOnTheLoopStaysThere() async throws {
        try await withGreeter(inProcess: false, callType: .direct) { _, proxy, session in
            let loop = session.loop
            let stayed = try await loop.withLoop {
                var stayed = loop.eventLoop.inEventLoop
                for _ in 0..<10 {
                    _ = try await proxy.greet("Ada")
                    stayed = stayed && loop.eventLoop.inEventLoop
                }
                return stayed
            }
            #expect(stayed)
        }
    }
}
