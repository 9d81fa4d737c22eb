import Foundation

/// Round trips of one kind, in microseconds, and the CPU time of this process for each.
struct Samples {
    private let sorted: [Double]
    private let cpu: Double

    init(_ values: [Double], cpu: Double) {
        sorted = values.sorted()
        self.cpu = cpu
    }

    /// Measures `count` runs of `body`, one after the other, after a tenth as many that do not count.
    nonisolated(nonsending) static func measure(
        _ count: Int, _ body: nonisolated(nonsending) () async throws -> Void
    ) async throws -> Samples {
        for _ in 0..<max(20, count / 10) { try await body() }
        var values: [Double] = []
        values.reserveCapacity(count)
        let cpu = cpuMicroseconds()
        for _ in 0..<count {
            let start = ContinuousClock.now
            try await body()
            values.append((ContinuousClock.now - start).microseconds)
        }
        return Samples(values, cpu: (cpuMicroseconds() - cpu) / Double(count))
    }

    private func percentile(_ fraction: Double) -> Double { sorted[min(sorted.count - 1, Int(Double(sorted.count) * fraction))] }

    /// What `table.py` reads.
    var result: String {
        String(
            format: "{\"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"cpu\": %.3f}", percentile(0.5), percentile(0.99),
            percentile(0.999), cpu)
    }
}

/// How many of something a second, and the CPU time of this process for each.
struct Rate {
    /// Measures `body`, which does `count` of it.
    nonisolated(nonsending) static func measure(
        _ count: Int, _ body: nonisolated(nonsending) () async throws -> Void
    ) async throws -> String {
        let cpu = cpuMicroseconds()
        let start = ContinuousClock.now
        try await body()
        let seconds = (ContinuousClock.now - start).microseconds / 1e6
        return String(
            format: "{\"rate\": %.1f, \"cpu\": %.3f}", Double(count) / seconds, (cpuMicroseconds() - cpu) / Double(count))
    }
}

/// CPU time of this process so far, all threads.
func cpuMicroseconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now)
    return Double(now.tv_sec) * 1e6 + Double(now.tv_nsec) / 1e3
}

/// One line for `table.py`, at once: a pipe's buffer would keep it.
func report(_ kind: String, _ json: String) { FileHandle.standardOutput.write(Data("\(kind) \(json)\n".utf8)) }

extension Duration {
    var microseconds: Double { Double(components.seconds) * 1e6 + Double(components.attoseconds) / 1e12 }
}
