import Foundation
import Testing

/// The inputs that fuzzing found, and one of each kind to begin with (`.ci/fuzz`).
@Suite(.timeLimit(.minutes(8)))
struct FuzzReplayTests {
    private static let targets: [String: @Sendable ([UInt8]) throws -> Void] = [
        "decoder": DecoderFuzz.run, "values": ValueFuzz.run, "signature": SignatureFuzz.run, "handshake": HandshakeFuzz.run,
    ]

    @Test(arguments: targets.keys.sorted())
    func keptInputsAreNoHarm(_ name: String) throws {
        let run = try #require(Self.targets[name])
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("FailCases/\(name)")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        for file in files {
            do { try run([UInt8](Data(contentsOf: file))) } catch { Issue.record("\(file.lastPathComponent): \(error)") }
        }
    }
}
