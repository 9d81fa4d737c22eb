import Logging
import NIOPosix
import QiMessaging

/// A gateway in front of a directory, both on TCP without TLS: what one more process on the path costs. Ends with its standard input.
///
/// Argument: the directory.
enum GatewayBenchmark {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 1, let directory = Endpoint(arguments[0]), let door = Endpoint("tcp://127.0.0.1:0") else {
            throw BenchmarkFailure("usage: gateway DIRECTORY")
        }
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: Logger(label: "benchmark", level: .error))
        var options = TCPGateway.Options(directory: directory, machineID: BenchmarkMachine.id)
        options.allowsPlain = true
        let gateway = try await TCPGateway.open(options, at: [door], on: loop)
        while try await gateway.status().services < EchoService.all.count { await Task.yield() }
        report("ready", "{\"endpoints\": [\"\(gateway.endpoints[0])\"]}")
        try await Serving.standardInputEnds()
        await gateway.close()
        await loop.shutDown()
    }
}
