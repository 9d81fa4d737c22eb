import Foundation
import Testing

/// The inputs to a directory's connections, to one at the outer door, and to a device stream, that fuzzing found, and some to begin with (`.ci/fuzz`).
@Suite(.timeLimit(.minutes(8)))
struct FuzzReplayTests {
    private static let targets: [String: @Sendable ([UInt8]) throws -> Void] = [
        "directory": DirectoryFuzz.run, "sequence": SequenceFuzz.run, "stream": StreamFuzz.run, "exchange": ExchangeFuzz.run(_:),
    ]

    @Test(arguments: targets.keys.sorted()) func keptInputsAreNoHarm(_ target: String) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("FailCases/\(target)")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        for file in files {
            do { try Self.targets[target]?([UInt8](Data(contentsOf: file))) } catch { Issue.record("\(file.lastPathComponent): \(error)") }
        }
    }

    /// The same bytes in every run, from a small linear generator.
    @Test func sequencesOfAllKindsAreNoHarm() {
        var state: UInt64 = 5
        func next() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        for round in 0..<200 {
            do { try SequenceFuzz.run((0..<200).map { _ in next() }) } catch { Issue.record("round \(round): \(error)") }
        }
    }
}
