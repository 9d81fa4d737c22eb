import Foundation
import Testing

/// The stanzas and negotiations that fuzzing found, and some to begin with (`.ci/fuzz`).
@Suite(.timeLimit(.minutes(8)))
struct FuzzReplayTests {
    private static let targets: [String: @Sendable ([UInt8]) throws -> Void] = [
        "stanzas": StanzaFuzz.run, "jingle": JingleFuzz.run, "socks5": SOCKS5Fuzz.run,
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
    @Test(arguments: targets.keys.sorted()) func bytesOfAllKindsAreNoHarm(_ target: String) throws {
        var state: UInt64 = 11
        func next() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        for round in 0..<300 {
            let bytes = (0..<200).map { _ in next() }
            do { try Self.targets[target]?(bytes) } catch { Issue.record("round \(round): \(error)") }
        }
    }
}
