import Foundation

/// Prints one table. `Benchmarks [COUNT]`: how many round trips a row takes, 2000 unless said.
@main
enum Main {
    static func main() async throws {
        let count = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 2000
        print("round trips in microseconds, \(count) each".padding(toLength: 44, withPad: " ", startingAt: 0) + "       p50        p99 ratio")
        for row in try await LocalBenchmark.run(count: count) { print(row) }
        for row in try await TunnelBenchmark.run(count: count) { print(row) }
    }
}
