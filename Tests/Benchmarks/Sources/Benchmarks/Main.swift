import Foundation

/// One process of the benchmark; `table.py` starts them, puts them on CPUs, and makes the table.
///
///     Benchmarks serve CERTIFICATE KEY ENDPOINT…  a directory with the service under test; prints "ready {…}"
///     Benchmarks gateway DIRECTORY                    a gateway in front of such a directory; prints "ready {…}"
///     Benchmarks drive URL SERVICE WORK COUNT SIZE CALLER  a client; prints "result {…}"
///     Benchmarks local SERVICE COUNT                  client and service in this process
///     Benchmarks tunnel COUNT                         two nodes and an XMPP server
@main
enum Main {
    static func main() async throws {
        var arguments = Array(CommandLine.arguments.dropFirst())
        guard !arguments.isEmpty else { throw BenchmarkFailure("usage: Benchmarks serve|gateway|drive|local|tunnel …") }
        switch arguments.removeFirst() {
        case "serve": try await Serving.run(arguments)
        case "gateway": try await GatewayBenchmark.run(arguments)
        case "drive": try await Driving.run(arguments)
        case "local": try await LocalBenchmark.run(arguments)
        case "tunnel": try await TunnelBenchmark.run(arguments)
        case let other: throw BenchmarkFailure("no such work: \(other)")
        }
    }
}

struct BenchmarkFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
