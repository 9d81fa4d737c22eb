import Foundation
import NIOCore
import QiMessaging
import QiWire
import Synchronization

/// A client of its own process: one kind of work against a service, ours or libqi's.
///
/// CALLER says where the calls are made: `pool`, from ordinary tasks, or `loop`, within ``BusLoop/withLoop(_:)``.
enum Driving {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count >= 6, let count = Int(arguments[3]), count > 0, let size = Int(arguments[4]) else {
            throw BenchmarkFailure("usage: drive URL SERVICE WORK COUNT SIZE pool|loop")
        }
        let (url, service) = (arguments[0], arguments[1])
        if arguments[2] == "connect" { return report("result", try await connecting(url, service, count)) }
        if arguments[2] == "fanout" { return report("result", try await fanOut(url, service, events: count, subscribers: size)) }
        try await Session.with(url, options: BenchmarkMachine.options) { session in
            let calls = EchoCalls(try await session.service(service))
            let work = arguments[2]
            let loop = arguments[5] == "loop" ? session.loop : nil
            let run: BusLoop.LoopBody<String> = { try await perform(work, calls, count, size, loop) }
            if let loop {
                report("result", try await loop.withLoop(run))
            } else {
                report("result", try await run())
            }
        }
    }

    private nonisolated(nonsending) static func perform(_ work: String, _ calls: EchoCalls, _ count: Int, _ size: Int, _ loop: BusLoop?) async throws -> String {
        switch work {
        case "latency": try await latency(calls, count)
        case "inflight": try await inFlight(calls, count, loop)
        case "bursts": try await bursts(calls, count)
        case "bulk": try await bulk(calls, count, size)
        default: throw BenchmarkFailure("no such work: \(work)")
        }
    }

    nonisolated(nonsending) static func latency(_ calls: EchoCalls, _ count: Int) async throws -> String {
        try await Samples.measure(count) { try await calls.echo() }.result
    }

    /// 64 callers, each with one call at a time.
    private nonisolated(nonsending) static func inFlight(_ calls: EchoCalls, _ count: Int, _ loop: BusLoop?) async throws -> String {
        let each = max(1, count / 64)
        let caller: BusLoop.LoopBody<Void> = { for _ in 0..<each { try await calls.echo() } }
        return try await Rate.measure(each * 64) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<64 {
                    // A child task inherits the loop as its preference only; entering it costs once what each call would.
                    group.addTask { if let loop { try await loop.withLoop(caller) } else { try await caller() } }
                }
                try await group.waitForAll()
            }
        }
    }

    /// 64 calls at once, then the next 64: for the guards, which count what a burst costs.
    private nonisolated(nonsending) static func bursts(_ calls: EchoCalls, _ count: Int) async throws -> String {
        try await Rate.measure(count * 64) {
            for _ in 0..<count {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<64 { group.addTask { try await calls.echo() } }
                    try await group.waitForAll()
                }
            }
        }
    }

    private nonisolated(nonsending) static func bulk(_ calls: EchoCalls, _ count: Int, _ size: Int) async throws -> String {
        let payload = ByteBuffer(repeating: 7, count: size)
        return try await Samples.measure(count) {
            guard try await calls.raw(payload) == size else { throw BenchmarkFailure("the echo has another size") }
        }.result
    }

    /// Connect, authenticate, look up, one call.
    private static func connecting(_ url: String, _ service: String, _ count: Int) async throws -> String {
        try await Samples.measure(count) {
            try await Session.with(url, options: BenchmarkMachine.options) { session in
                try await EchoCalls(try await session.service(service)).echo()
            }
        }.result
    }

    /// One connection for each subscriber, whose handler runs where the event arrives; bursts of 100 events, each taken by all before
    /// the next.
    private static func fanOut(_ url: String, _ service: String, events: Int, subscribers: Int) async throws -> String {
        let rounds = max(1, events / 100)
        let countdown = Countdown()
        var sessions: [Session] = []
        var links: [SignalLink] = []
        for _ in 0..<subscribers {
            let session = try await Session.connect(url, options: BenchmarkMachine.options)
            sessions.append(session)
            let tick = Signal<String>(of: try await session.service(service), named: "tick")
            links.append(try await tick.connect { _ in countdown.step() })
        }
        let emitter = try await sessions[0].service(service)
        let result = try await Rate.measure(rounds * 100 * subscribers) {
            for _ in 0..<rounds {
                countdown.start(100 * subscribers)
                _ = try await emitter.call("burst", arguments: [.uint32(100)])
                try await countdown.end(within: .seconds(60))
            }
        }
        for link in links { link.disconnect() }
        for session in sessions { await session.close() }
        return result
    }
}

/// Events that are still to come, from whatever thread.
private final class Countdown: Sendable {
    private let missing = Atomic<Int>(0)
    private let arrived = DispatchSemaphore(value: 0)

    func start(_ count: Int) { missing.store(count, ordering: .releasing) }

    func step() {
        if missing.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { arrived.signal() }
    }

    /// Waits on a thread of its own: one of the pool's would be missed in the measurement.
    func end(within limit: DispatchTimeInterval) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            Self.waiting.async { [self] in
                let result = arrived.wait(timeout: .now() + limit)
                continuation.resume(with: result == .success ? .success(()) : .failure(BenchmarkFailure("events are missing")))
            }
        }
    }

    private static let waiting = DispatchQueue(label: "countdown")
}

/// The calls as a generated proxy makes them: methods looked up once, arguments and results as types of Swift.
struct EchoCalls: Sendable {
    private let proxy: ObjectProxy
    private let echoMethod: RemoteMethod
    private let rawMethod: RemoteMethod

    init(_ proxy: ObjectProxy) {
        self.proxy = proxy
        echoMethod = proxy.method("echo", parameters: [.string], returns: .string)
        rawMethod = proxy.method("raw", parameters: [.raw], returns: .raw)
    }

    nonisolated(nonsending) func echo() async throws {
        let text: String = try await proxy.invoke(echoMethod) { (arguments) throws(WireError) in try arguments.append(EchoService.payload) }
        if text.utf8.count != EchoService.payload.utf8.count { throw BenchmarkFailure("the echo is \(text)") }
    }

    /// The size of what came back.
    nonisolated(nonsending) func raw(_ payload: ByteBuffer) async throws -> Int {
        let bytes: ByteBuffer = try await proxy.invoke(rawMethod, deadline: .seconds(60)) { (arguments) throws(WireError) in
            try arguments.append(payload)
        }
        return bytes.readableBytes
    }
}
