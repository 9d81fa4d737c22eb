import NIOCore
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// A service that several devices of a group offer.
@Suite(.timeLimit(.minutes(8))) struct GroupServiceTests {
    private static let name = "vision/Detector"

    /// Counts the calls of its methods, and keeps those of `wait` until the test lets them go.
    private final class Detector: Sendable {
        let device: String
        private let counts = Mutex<[String: Int]>([:])
        let waiting: Slow

        init(_ device: String, _ waiting: Slow = Slow()) {
            self.device = device
            self.waiting = waiting
        }

        func count(_ method: String) -> Int { counts.withLock { $0[method] ?? 0 } }

        func object(more: Bool = false) throws -> ObjectBuilder {
            var builder = ObjectBuilder()
            for (name, description) in [("detect", "[idempotent]"), ("learn", "")] {
                builder.advertiseMethod(name, "()", returns: "s", description: description) { [self] _, _ in
                    counts.withLock { $0[name, default: 0] += 1 }
                    return .string(QiString(device))
                }
                builder.advertiseMethod("\(name)Slowly", "()", returns: "s", description: description) { [self] _, _ in
                    counts.withLock { $0[name, default: 0] += 1 }
                    await waiting.opened()
                    return .string(QiString(device))
                }
            }
            builder.advertiseSignal("seen", "(s)")
            builder.advertiseMethod("show", "()") { [self] _, context in
                try context.object.emit("seen", [.string(QiString(device))])
                return .void
            }
            if more { builder.advertiseMethod("another", "()") { _, _ in .void } }
            return builder
        }
    }

    private func answer(_ proxy: ObjectProxy, _ method: String) async throws -> String {
        try await proxy.call(method)
    }

    private func until(_ what: String, _ condition: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while try await !condition() {
            guard ContinuousClock.now < end else { throw QiError(.timedOut, "not within 20 s: \(what)") }
            await Task.yield()
        }
    }

    /// Two devices with the service, by name.
    private func withTwo(
        idempotent: [String] = [],
        _ body: (_ endpoint: Endpoint, _ group: FarGroup, _ detectors: [String: Detector], _ near: DirectoryServer) async throws -> Void
    ) async throws {
        let detectors = ["one": Detector("one"), "two": Detector("two")]
        var objects: [String: ObjectBuilder] = [:]
        for (name, detector) in detectors { objects[name] = try detector.object() }
        try await FarGroup.with(["one", "two"], idempotent: idempotent, { objects[$0] ?? ObjectBuilder() }) { near, endpoint, group in
            // Before the devices end, which wait for their methods.
            defer { for detector in detectors.values { detector.waiting.letGo() } }
            try await body(endpoint, group, detectors, near)
        }
    }

    @Test func callsOfOneProxyStayWithOneInstanceAndAnotherProxyGetsTheLessBusyOne() async throws {
        try await withTwo { endpoint, _, detectors, near in
            try await withSession(endpoint) { first in
                let one = try await first.service(Self.name)
                let name = try await answer(one, "detect")
                for _ in 0..<5 { #expect(try await answer(one, "detect") == name) }
                async let slow = answer(one, "learnSlowly")
                try await until("a call in work") { detectors[name]?.count("learn") == 1 }
                try await withSession(endpoint) { second in
                    let other = try await answer(try await second.service(Self.name), "detect")
                    #expect(other != name)
                }
                detectors[name]?.waiting.letGo()
                let slowAnswer = try await slow
                #expect(slowAnswer == name)
                let status = try #require(try await near.group(named: "vision"))
                #expect(status.members.map(\.answered).sorted() == [1, 7])
                #expect(status.members.map { $0.services["Detector"] } == ["ready", "ready"])
            }
        }
    }

    @Test func whenAnInstanceDiesItsMarkedCallIsAnsweredByAnotherAndTheOtherCallSaysThatItMayHaveRun() async throws {
        try await withTwo { endpoint, group, detectors, near in
            try await withSession(endpoint) { session in
                let proxy = try await session.service(Self.name)
                let name = try await answer(proxy, "detect")
                let other = name == "one" ? "two" : "one"
                detectors[other]?.waiting.letGo()
                async let marked = answer(proxy, "detectSlowly")
                async let unmarked = answer(proxy, "learnSlowly")
                try await until("both calls in work") { detectors[name]?.count("learn") == 1 && detectors[name]?.count("detect") == 2 }
                try await group[name]?.kill()
                let markedAnswer = try await marked
                #expect(markedAnswer == other)
                do {
                    let answer = try await unmarked
                    Issue.record("a call that may have run at \(name) was answered by \(answer)")
                } catch let error as QiError {
                    #expect(error.code == .disconnected && error.message.contains("may have run") && error.message.contains(name), "\(error)")
                }
                #expect(detectors[other]?.count("learn") == 0)
                // The proxy stays with the other one.
                #expect(try await answer(proxy, "learn") == other)
                let status = try #require(try await near.group(named: "vision"))
                #expect(status.members.first { $0.name == name }?.lost == 1)
            }
        }
    }

    @Test func aPatternOfTheOwnerMarksAMethod() async throws {
        try await withTwo(idempotent: ["Detector.learn*"]) { endpoint, group, detectors, _ in
            try await withSession(endpoint) { session in
                let proxy = try await session.service(Self.name)
                let name = try await answer(proxy, "detect")
                let other = name == "one" ? "two" : "one"
                detectors[other]?.waiting.letGo()
                async let call = answer(proxy, "learnSlowly")
                try await until("the call in work") { detectors[name]?.count("learn") == 1 }
                try await group[name]?.kill()
                let callAnswer = try await call
                #expect(callAnswer == other)
            }
        }
    }

    @Test func signalsFollowAProxyToAnotherInstance() async throws {
        try await withTwo { endpoint, group, _, _ in
            try await withSession(endpoint) { session in
                let proxy = try await session.service(Self.name)
                let name = try await answer(proxy, "detect")
                let seen = Mutex<[String]>([])
                let link = try await proxy.connect("seen") { values in seen.withLock { $0.append(values[0].asString ?? "") } }
                _ = try await proxy.call("show", arguments: [])
                try await until("the first event") { seen.withLock { $0 } == [name] }
                try await group[name]?.kill()
                let other = name == "one" ? "two" : "one"
                try await until("a proxy that has moved") { try await answer(proxy, "detect") == other }
                try await until("an event of the other instance") {
                    _ = try await proxy.call("show", arguments: [])
                    return seen.withLock { $0.contains(other) }
                }
                // Each once: one subscription brings them.
                let before = seen.withLock { $0.count }
                _ = try await proxy.call("show", arguments: [])
                try await until("one more event") { seen.withLock { $0.count } > before }
                _ = try await answer(proxy, "detect")
                #expect(seen.withLock { $0.count } == before + 1)
                withExtendedLifetime(link) {}
            }
        }
    }

    @Test func anInstanceThatStopsInOrderGetsNoNewCallsAndAnswersThoseInWork() async throws {
        try await withTwo { endpoint, group, detectors, _ in
            try await withSession(endpoint) { session in
                let proxy = try await session.service(Self.name)
                let name = try await answer(proxy, "detect")
                async let slow = answer(proxy, "learnSlowly")
                try await until("a call in work") { detectors[name]?.count("learn") == 1 }
                async let drained: Void? = group[name]?.server.drain(within: .seconds(30))
                let other = name == "one" ? "two" : "one"
                try await until("calls that go elsewhere") { try await answer(proxy, "learn") == other }
                detectors[name]?.waiting.letGo()
                let slowAnswer = try await slow
                #expect(slowAnswer == name)
                _ = await drained
            }
        }
    }

    @Test func aDeviceWhoseServiceHasAnotherInterfaceIsNoInstance() async throws {
        try await withTwo { endpoint, group, _, near in
            try await withSession(endpoint) { session in
                let proxy = try await session.service(Self.name)
                _ = try await answer(proxy, "detect")
                try await group.add("three", try Detector("three").object(more: true))
                try await until("a look at the third") {
                    try await near.group(named: "vision")?.members.last { $0.name == "three" }?.services["Detector"] == "another interface"
                }
                for name in ["one", "two"] { try await group[name]?.kill() }
                // Looked up anew, it is a service with the other interface.
                try await until("the service of the third") {
                    do {
                        return try await answer(try await session.service(Self.name), "detect") == "three"
                    } catch is QiError {
                        return false
                    }
                }
            }
        }
    }

    @Test func aDeviceThatIsAddedIsUsedByTheNextProxyWithoutAWordToTheOthers() async throws {
        let (one, two) = (Detector("one"), Detector("two"))
        let object = try one.object()
        try await FarGroup.with(["one"], { _ in object }) { near, endpoint, group in
            defer { one.waiting.letGo() }
            try await withSession(endpoint) { first in
                let proxy = try await first.service(Self.name)
                async let slow = answer(proxy, "learnSlowly")
                try await until("a call in work") { one.count("learn") == 1 }
                try await group.add("two", try two.object())
                try await until("a second instance") {
                    try await near.group(named: "vision")?.members.first { $0.name == "two" }?.services["Detector"] == "ready"
                }
                try await withSession(endpoint) { second in
                    let answered = try await answer(try await second.service(Self.name), "detect")
                    #expect(answered == "two")
                }
                one.waiting.letGo()
                let slowAnswer = try await slow
                #expect(slowAnswer == "one")
                #expect(try await answer(proxy, "detect") == "one")
            }
        }
    }

    @Test func whatIsMissingIsSaid() async throws {
        try await FarGroup.with([], { _ in ObjectBuilder() }) { _, endpoint, group in
            try await withSession(endpoint) { session in
                let none = await #expect(throws: QiError.self) { _ = try await session.service(Self.name) }
                #expect(none?.message.contains("the group vision has no device") == true, "\(none?.message ?? "")")
                let member = try await group.add("one", nil)
                let lacking = await #expect(throws: QiError.self) { _ = try await session.service(Self.name) }
                #expect(lacking?.message.contains("has a service \"Detector\"") == true, "\(lacking?.message ?? "")")
                try await member.kill()
                // Its tunnel ends a moment later.
                try await until("a device that is known to be away") {
                    do {
                        _ = try await session.service(Self.name)
                        return false
                    } catch let error as QiError {
                        return error.message.contains("no device of the group vision is online") && error.code == .offline
                    }
                }
            }
        }
    }
}
