import Foundation

/// One process of the benchmark; `table.py` starts them, puts them on CPUs, and makes the table.
///
///     Benchmarks serve CERTIFICATE KEY ENDPOINT…  a directory with the service under test; prints "ready {…}"
///     Benchmarks gateway DIRECTORY                    a gateway in front of such a directory; prints "ready {…}"
///     Benchmarks drive URL SERVICE WORK COUNT SIZE CALLER  a client; prints "result {…}"
///     Benchmarks local SERVICE COUNT                  client and service in this process
///     Benchmarks tunnel COUNT                         two nodes and an XMPP server
///     Benchmarks home USER PASSWORD DOMAIN IPv4:PORT CA KIND  a node on a computer of its own (`paths.py`); prints "ready {…}"
///     Benchmarks across … OTHER COUNT BULKS SIZE      another one that calls it, after the same arguments; prints "result {…}"
@main
enum Main {
    static func main() async {
        do { try await run(Array(CommandLine.arguments.dropFirst())) } catch {
            FileHandle.standardError.write(Data("error: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ given: [String]) async throws {
        var arguments = given
        guard !arguments.isEmpty else { throw BenchmarkFailure("usage: Benchmarks serve|gateway|drive|local|tunnel|home|across …") }
        switch arguments.removeFirst() {
        case "serve": try await Serving.run(arguments)
        case "gateway": try await GatewayBenchmark.run(arguments)
        case "drive": try await Driving.run(arguments)
        case "local": try await LocalBenchmark.run(arguments)
        case "tunnel": try await TunnelBenchmark.run(arguments)
        case "home": try await PathBenchmark.serve(arguments)
        case "across": try await PathBenchmark.drive(arguments)
        case let other: throw BenchmarkFailure("no such work: \(other)")
        }
    }
}

struct BenchmarkFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
