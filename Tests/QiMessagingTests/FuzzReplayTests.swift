import Foundation
import Testing

/// The inputs to a directory's connections that fuzzing found, and one to begin with (`.ci/fuzz`).
@Suite(.timeLimit(.minutes(3)))
struct FuzzReplayTests {
    @Test func keptInputsAreNoHarm() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("FailCases/directory")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        for file in files {
            do { try DirectoryFuzz.run([UInt8](Data(contentsOf: file))) } catch { Issue.record("\(file.lastPathComponent): \(error)") }
        }
    }
}
