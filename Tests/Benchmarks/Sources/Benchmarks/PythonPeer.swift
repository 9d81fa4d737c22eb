import Foundation

/// A process of real libqi. Ends with its standard input.
final class PythonPeer {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init(_ arguments: [String]) throws {
        let environment = ProcessInfo.processInfo.environment
        guard let script = Bundle.module.url(forResource: "Peers/echo_pair", withExtension: "py") else {
            throw BenchmarkFailure("the Python peers are missing from the build")
        }
        process.executableURL = URL(fileURLWithPath: environment["QIMESH_TEST_PYTHON"] ?? ".build/python/bin/python")
        process.arguments = [script.path] + arguments
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    /// The next line of its output that begins with `prefix`; libqi logs there too.
    func line(beginning prefix: String) throws -> String {
        var text = ""
        while true {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw BenchmarkFailure("a Python peer ended early: \(text)") }
            text += String(decoding: data, as: UTF8.self)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            if let found = lines.first(where: { $0.hasPrefix(prefix) }) { return String(found) }
        }
    }

    func end() {
        try? input.fileHandleForWriting.close()
        process.terminate()
        process.waitUntilExit()
    }
}

struct BenchmarkFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
