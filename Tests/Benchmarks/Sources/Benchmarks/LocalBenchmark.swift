import Foundation
import Logging
import NIOPosix
import QiMessaging

/// Client and service in this process, SERVICE as `serve` has it, or `Typed` for a generated proxy. A sample is the mean of a hundred
/// calls: a clock costs as much as one.
enum LocalBenchmark {
    private static let batch = 100

    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 2, let count = Int(arguments[1]) else { throw BenchmarkFailure("usage: local SERVICE COUNT") }
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: Logger(label: "benchmark", level: .error))
        let server = try await DirectoryServer.make(on: loop, machineID: BenchmarkMachine.id)
        guard let any = Endpoint("tcp://127.0.0.1:0") else { throw BenchmarkFailure("no endpoint") }
        let listener = try await server.listen(at: any)
        for (name, object) in EchoService.all { _ = try await server.register(object, as: name) }
        try await server.register(EchoingBinding(Echo()), as: "Typed")
        try await Session.with(listener.endpoint.text, options: BenchmarkMachine.options) { session in
            if arguments[0] == "Typed" {
                let echo = try await session.service(EchoingProxy.self, named: "Typed")
                try await measure(count) { _ = try await echo.echo(EchoService.payload) }
            } else {
                let calls = EchoCalls(try await session.service(arguments[0]))
                try await measure(count) { try await calls.echo() }
            }
        }
        await listener.close()
        await loop.shutDown()
    }

    private nonisolated(nonsending) static func measure(
        _ count: Int, _ call: nonisolated(nonsending) () async throws -> Void
    ) async throws {
        var values: [Double] = []
        let cpu = cpuMicroseconds()
        for _ in 0..<max(1, count / batch) {
            let start = ContinuousClock.now
            for _ in 0..<batch { try await call() }
            values.append((ContinuousClock.now - start).microseconds / Double(batch))
        }
        report("result", Samples(values, cpu: (cpuMicroseconds() - cpu) / Double(values.count * batch)).result)
    }
}
