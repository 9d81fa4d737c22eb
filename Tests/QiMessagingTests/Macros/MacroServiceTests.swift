@testable import QiMessaging
import Testing

/// What `@Service` generates, at work: two sessions, so that every call crosses a socket.
@Suite(.timeLimit(.minutes(8)))
struct MacroServiceTests {
    /// Runs `body` with a porter that another session hosts.
    private func withPorter(
        _ body: (PorterProxy, FriendlyPorter, Session) async throws -> Void
    ) async throws {
        try await withDirectory { _, endpoint in
            try await withSession(endpoint) { host in
                let porter = FriendlyPorter()
                _ = try await host.register(PorterBinding(porter))
                try await withSession(endpoint) { session in
                    try await body(try await session.service(PorterProxy.self), porter, session)
                }
            }
        }
    }

    @Test func argumentsAndResults() async throws {
        try await withPorter { proxy, porter, _ in
            #expect(try await proxy.greet("Ada") == "Hello Ada")
            let home = Point(x: 1, y: -2.5, name: "home")
            #expect(try await proxy.greet(all: ["Ada", "Bob"], at: home) == ["Ada": home, "Bob": home])
            #expect(try await proxy.greet(all: ["Ada"], at: nil) == ["Ada": Point(x: 0, y: 0, name: "Ada")])
            #expect(try await proxy.add(40, 2.5) == 42.5)
            try await proxy.stop()
            #expect(await porter.stops == 1)
            let repeated = try await proxy.repeat(.list([.int32(1)]), in: ByteBuffer(bytes: [1, 2]))
            #expect(repeated.unwrapped == .tuple([.dynamic(.list([.int32(1)])), .raw(ByteBuffer(bytes: [1, 2]))])
                || repeated.unwrapped == .tuple([.list([.int32(1)]), .raw(ByteBuffer(bytes: [1, 2]))]))
        }
    }

    @Test func anErrorComesWithItsText() async throws {
        try await withPorter { proxy, _, _ in
            let error = await #expect(throws: QiError.self) { try await proxy.fail() }
            #expect(error?.code == .invalid && error?.message == "the voice is gone")
        }
    }

    @Test func theMetaObjectTellsNamesAndDescriptions() async throws {
        try await withPorter { proxy, _, _ in
            let metaObject = proxy.object.metaObject
            #expect(metaObject.description == "Says hello.")
            let greet = try #require(metaObject.methods.first { $0.fullName == "greet::(s)" })
            #expect(greet.returnSignature == "s" && greet.description == "Greets somebody.")
            #expect(greet.parameters.map(\.name) == ["name"])
            // By this word callers know that it may run twice.
            #expect(metaObject.methods.first { $0.name == "add" }?.description == "[idempotent]")
            let greetAll = try #require(metaObject.methods.first { $0.name == "greet" && $0.parametersSignature.hasPrefix("([s]") })
            #expect(greetAll.parametersSignature == "([s]+(dds)<Point,x,y,name>)")
            #expect(greetAll.returnSignature == "{s(dds)<Point,x,y,name>}")
            #expect(greetAll.parameters.map(\.name) == ["names", "place"])
            #expect(metaObject.signal(named: "moved")?.signature == "((dds)<Point,x,y,name>l)")
            #expect(metaObject.signal(named: "stopped")?.signature == "()")
            #expect(metaObject.property(named: "volume")?.signature == "i")
        }
    }

    @Test func dynamicCallsWorkBesideTypedOnes() async throws {
        try await withPorter { proxy, _, _ in
            let answer: String = try await proxy.object.call("greet", "Ada")
            #expect(answer == "Hello Ada")
        }
    }

    @Test func signalsAreSequences() async throws {
        try await withPorter { proxy, porter, _ in
            var greeted = try await proxy.greeted.events().makeAsyncIterator()
            var moved = try await proxy.moved.events().makeAsyncIterator()
            var stopped = try await proxy.stopped.events().makeAsyncIterator()
            _ = try await proxy.greet("Ada")
            #expect(try await greeted.next() == "Ada")
            porter.moved.emit(Point(x: 1, y: 2, name: "there"), 3)
            let (place, speed) = try #require(try await moved.next())
            #expect(place == Point(x: 1, y: 2, name: "there") && speed == 3)
            try await proxy.stop()
            #expect(try await stopped.next() != nil)
        }
    }

    @Test func propertiesAreReadWrittenAndWatched() async throws {
        try await withPorter { proxy, porter, _ in
            #expect(try await proxy.volume.get() == 7)
            var changes = try await proxy.volume.changes().makeAsyncIterator()
            try await proxy.volume.set(9)
            #expect(try await changes.next() == 9)
            #expect(porter.volume.value == 9)
            porter.volume.value = 11
            #expect(try await changes.next() == 11)
            #expect(try await proxy.volume.get() == 11)
        }
    }

    @Test func cancellingTheTaskCancelsTheMethod() async throws {
        try await withPorter { proxy, porter, _ in
            var waiting = porter.waiting.stream.makeAsyncIterator()
            let task = Task { try await proxy.waitForEver() }
            #expect(await waiting.next() == "started")
            task.cancel()
            let error = await #expect(throws: QiError.self) { try await task.value }
            #expect(error?.code == .cancelled)
            #expect(await waiting.next() == "cancelled")
        }
    }

    @Test func theDeadlineIsTheProxys() async throws {
        try await withPorter { proxy, _, _ in
            var proxy = proxy
            proxy.deadline = .milliseconds(1)
            let hurried = proxy
            let error = await #expect(throws: QiError.self) { try await hurried.waitForEver() }
            #expect(error?.code == .timedOut && error?.message.contains("Porter.waitForEver") == true)
        }
    }

    @Test func aMemberThatTheObjectLacksFailsWhenItIsUsed() async throws {
        try await withPorter { _, _, session in
            let speech = try await session.service(SpeechProxy.self, named: "Porter")
            let error = await #expect(throws: QiError.self) { try await speech.say("hi") }
            #expect(error?.code == .notFound && error?.message.contains("say") == true)
        }
    }

    @Test func anotherDeclarationIsConvertedTo() async throws {
        try await withDirectory { directory, endpoint in
            var object = ObjectBuilder()
            object.advertiseMethod("add", "(ld)", returns: "f") { arguments, _ in .float(Float(arguments[1].asDouble ?? 0) + 1) }
            _ = try await directory.register(object, as: "Porter")
            try await withSession(endpoint) { session in
                let proxy = try await session.service(PorterProxy.self)
                #expect(try await proxy.add(1, 2) == 3)
            }
        }
    }

    @Test func theNameOfTheServiceCanBeGiven() async throws {
        #expect(SpeechProxy.serviceName == "ALTextToSpeech" && SpeechBinding<Voice>.serviceName == "ALTextToSpeech")
        try await withDirectory { _, endpoint in
            try await withSession(endpoint) { session in
                _ = try await session.register(SpeechBinding(Voice(), callType: .direct))
                _ = try await session.register(SpeechBinding(Voice()), as: "Other")
                #expect(try await session.service(SpeechProxy.self).say("hi"))
                #expect(try await !session.service(SpeechProxy.self, named: "Other").say(""))
            }
        }
    }

    @Test func inTheSameProcessTheImplementationIsCalledItself() async throws {
        try await withDirectory { _, endpoint in
            try await withSession(endpoint, callsInProcess: true) { session in
                let porter = FriendlyPorter()
                _ = try await session.register(PorterBinding(porter))
                let proxy = try await session.service(PorterProxy.self)
                #expect(proxy.object.isDirect)
                #expect(try await proxy.greet("Ada") == "Hello Ada")
                try await proxy.stop()
                #expect(await porter.stops == 1)
                // Thrown as it is, not as a text that came back.
                let error = await #expect(throws: QiError.self) { try await proxy.fail() }
                #expect(error?.code == .invalid && error?.message == "the voice is gone")
            }
        }
    }
}
