import Foundation
import NIOCore
import QiMessaging
import QiWire

/// A client of its own process: one kind of work against a service, ours or libqi's.
enum Driving {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count >= 4, let count = Int(arguments[3]), count > 0 else {
            throw BenchmarkFailure("usage: drive URL SERVICE WORK COUNT [SIZE]")
        }
        let (url, service) = (arguments[0], arguments[1])
        let size = arguments.count > 4 ? Int(arguments[4]) ?? 0 : 16
        if arguments[2] == "connect" { return report("result", try await connecting(url, service, count)) }
        if arguments[2] == "fanout" { return report("result", try await fanOut(url, service, events: count, subscribers: size)) }
        try await Session.with(url, options: BenchmarkMachine.options) { session in
            let proxy = try await session.service(service)
            let result =
                switch arguments[2] {
                case "latency": try await latency(proxy, count)
                case "inflight": try await inFlight(proxy, count)
                case "bulk": try await bulk(proxy, count, size)
                case let other: throw BenchmarkFailure("no such work: \(other)")
                }
            report("result", result)
        }
    }

    static func latency(_ proxy: ObjectProxy, _ count: Int) async throws -> String {
        try await Samples.measure(count) { let _: String = try await proxy.call("echo", EchoService.payload) }.result
    }

    /// 64 callers on the global executor, as ordinary code is.
    private static func inFlight(_ proxy: ObjectProxy, _ count: Int) async throws -> String {
        let each = max(1, count / 64)
        return try await Rate.measure(each * 64) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<64 {
                    group.addTask { for _ in 0..<each { let _: String = try await proxy.call("echo", EchoService.payload) } }
                }
                try await group.waitForAll()
            }
        }
    }

    private static func bulk(_ proxy: ObjectProxy, _ count: Int, _ size: Int) async throws -> String {
        let payload = QiValue.raw(ByteBuffer(repeating: 7, count: size))
        return try await Samples.measure(count) {
            _ = try await proxy.call("raw", arguments: [payload], deadline: .seconds(60))
        }.result
    }

    /// Connect, authenticate, look up, one call.
    private static func connecting(_ url: String, _ service: String, _ count: Int) async throws -> String {
        try await Samples.measure(count) {
            try await Session.with(url, options: BenchmarkMachine.options) { session in
                let _: String = try await session.service(service).call("echo", EchoService.payload)
            }
        }.result
    }

    /// One connection for each subscriber; bursts of 100 events, each taken by all before the next.
    private static func fanOut(_ url: String, _ service: String, events: Int, subscribers: Int) async throws -> String {
        let rounds = max(1, events / 100)
        var sessions: [Session] = []
        var streams: [SignalEvents] = []
        for _ in 0..<subscribers {
            let session = try await Session.connect(url, options: BenchmarkMachine.options)
            sessions.append(session)
            streams.append(try await session.service(service).events(of: "tick", buffer: 1024))
        }
        let emitter = try await sessions[0].service(service)
        let all = streams
        let result = try await Rate.measure(rounds * 100 * subscribers) {
            for _ in 0..<rounds {
                _ = try await emitter.call("burst", arguments: [.uint32(100)])
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for stream in all { group.addTask { try await take(100, stream) } }
                    try await group.waitForAll()
                }
            }
        }
        for session in sessions { await session.close() }
        return result
    }

    private static func take(_ count: Int, _ stream: SignalEvents) async throws {
        var iterator = stream.makeAsyncIterator()
        for _ in 0..<count {
            guard await iterator.next() != nil else { throw BenchmarkFailure("a subscription ended: \(String(describing: stream.failure))") }
        }
    }
}
