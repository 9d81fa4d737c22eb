@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// Counts objects that live, wherever they are held.
final class Lives: Sendable {
    private let living = Mutex(0)
    private let callers = Mutex<[String]>([])

    /// One of them: as long as the object is held.
    private final class Life: Sendable {
        let lives: Lives
        init(_ lives: Lives) {
            self.lives = lives
            lives.living.withLock { $0 += 1 }
        }
        deinit { lives.living.withLock { $0 -= 1 } }
    }

    var count: Int { living.withLock { $0 } }
    /// What was called with, in order, and by whom.
    var heard: [String] { callers.withLock { $0 } }

    /// An object to be passed: `called(s)` answers, `take(o)` calls what it is given, `make()` returns another one, `told(s)` is a signal.
    func thing(_ name: String) -> ObjectBuilder {
        let life = Life(self)
        var builder = ObjectBuilder()
        builder.advertiseMethod("called", "(s)", returns: "s", callType: .direct) { arguments, context in
            let text = arguments[0].asString ?? ""
            life.lives.callers.withLock { $0.append("\(text) by \(context.caller.principal)") }
            return .string("\(name) called with \(text)")
        }
        builder.advertiseMethod("take", "(o)", returns: "s") { arguments, _ in
            try await ObjectProxy(qiValue: arguments[0]).call(
                "called", arguments: [.string(QiString("take by \(name)"))], deadline: .seconds(60))
        }
        builder.advertiseMethod("make", "()", returns: "o") { _, _ in ObjectProxy(life.lives.thing("child of \(name)")).qiValue }
        builder.advertiseSignal("told", "(s)")
        builder.advertiseMethod("tell", "(s)") { arguments, context in
            try context.object.emit("told", arguments)
            return .void
        }
        return builder
    }

    func proxy(_ name: String = "thing") -> QiValue { ObjectProxy(thing(name)).qiValue }

    func expect(_ wanted: Int, _ what: String) async throws {
        try await eventually("\(wanted) of \(count) objects: \(what)") { count == wanted }
    }
}

/// A service that keeps what it is given: `keep(m)` all objects in a value, `ask(s)` calls each, `give(o)` passes one of its own, `drop()`
/// lets go of the last one and `clear()` of all. The signal `made(o)` and the property `shown: m` take objects.
final class Keeper: Sendable {
    private let kept = Mutex<[ObjectProxy]>([])
    /// What the service passes itself.
    let own = Lives()

    private static func collect(_ value: QiValue) -> [ObjectProxy] {
        var found: [ObjectProxy] = []
        _ = value.mapObjects { reference in
            if let handle = reference.attachment as? ProxyHandle { found.append(ObjectProxy(handle)) }
            return reference
        }
        return found
    }

    func release(_ count: Int) {
        // Let go of outside of the lock.
        let gone = kept.withLock { kept in
            let gone = Array(kept.suffix(count))
            kept.removeLast(min(count, kept.count))
            return gone
        }
        withExtendedLifetime(gone) {}
    }

    func hold(_ value: QiValue) { kept.withLock { $0 += Self.collect(value) } }

    /// What each that is kept answers; errors in words.
    func ask(_ text: String) async -> [String] {
        var answers: [String] = []
        for proxy in kept.withLock({ $0 }) {
            do {
                let answer = try await proxy.call("called", arguments: [.string(QiString(text))], deadline: .seconds(60))
                answers.append(answer.asString ?? "\(answer)")
            } catch {
                answers.append("error: \(error.message)")
            }
        }
        return answers
    }

    /// The signals of what is kept.
    var proxies: [ObjectProxy] { kept.withLock { $0 } }

    var object: ObjectBuilder {
        var builder = ObjectBuilder()
        let keep = builder.advertiseMethod("keep", "(m)", returns: "i") { [self] arguments, _ in
            hold(arguments[0])
            return .int32(Int32(kept.withLock { $0.count }))
        }
        builder.advertiseMethod("ask", "(s)", returns: "[s]") { [self] arguments, _ in
            .list(await ask(arguments[0].asString ?? "").map { .string(QiString($0)) })
        }
        builder.advertiseMethod("give", "(o)", returns: "s") { [self] arguments, _ in
            try await ObjectProxy(qiValue: arguments[0]).call("take", arguments: [own.proxy("own")], deadline: .seconds(60))
        }
        builder.advertiseMethod("clear", "()") { [self] _, _ in
            release(.max)
            return .void
        }
        builder.advertiseMethod("refuse", "(o)") { _, _ in throw QiError(.invalid, "not today") }
        builder.advertiseSignal("made", "(o)")
        builder.advertiseProperty("shown", "m", initial: .dynamic(QiDynamic(.int32(0))))
        #expect(keep == Self.keep)
        return builder
    }

    static let keep: UInt32 = 100
}

/// Asks again and again until something is so, for a minute at the most: the machine may be under load.
func eventually(_ what: @autoclosure () -> String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(60)
    while try await !condition() {
        guard ContinuousClock.now < end else { throw QiError(.timedOut, "after a minute: no \(what())") }
        await Task.yield()
    }
}

extension DirectoryServer {
    /// How many objects are hosted for devices, on the connections to them and on those of theirs, and how many its clients have passed.
    func objectCounts() async throws -> [Int] {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            let out = directory.value.gateway?.links.values.compactMap(\.connection) ?? []
            return [
                out.reduce(0) { $0 + $1.bound.keys.count { $0.object != 1 } },
                directory.value.deviceConnections.reduce(0) { $0 + $1.bound.keys.count { $0.object != 1 } },
                directory.value.connections.values.reduce(0) { $0 + $1.objectsPassed },
            ]
        }
    }
}
