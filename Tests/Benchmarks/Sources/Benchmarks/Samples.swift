import Foundation

/// Round trips of one kind, in microseconds.
struct Samples {
    private let sorted: [Double]

    init(_ values: [Double]) { sorted = values.sorted() }

    /// Measures `count` runs of `body`, one after the other, after a tenth as many that do not count.
    static func measure(_ count: Int, _ body: () async throws -> Void) async throws -> Samples {
        for _ in 0..<max(20, count / 10) { try await body() }
        var values: [Double] = []
        for _ in 0..<count {
            let start = ContinuousClock.now
            try await body()
            values.append(Double((ContinuousClock.now - start).components.attoseconds) / 1e12)
        }
        return Samples(values)
    }

    func percentile(_ fraction: Double) -> Double { sorted[min(sorted.count - 1, Int(Double(sorted.count) * fraction))] }

    var median: Double { percentile(0.5) }

    /// One row of the table: name, p50, p99, and the ratio of the medians to a baseline of the same run.
    func row(_ name: String, against baseline: Samples?) -> String {
        let ratio = baseline.map { String(format: "%.2f", median / $0.median) } ?? "1.00"
        return name.padding(toLength: 44, withPad: " ", startingAt: 0)
            + String(format: "%10.1f %10.1f ", median, percentile(0.99)) + "\(ratio)"
    }
}
