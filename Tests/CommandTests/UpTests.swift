import Foundation
import QiMesh
import Testing

@testable import QiMeshCLI

@Suite("The node's part of the command")
struct UpTests {
    @Test(
        "codes of the node end the process as the node says",
        arguments: [
            .configuration, .identity, .trust, .notFound, .offline, .denied, .authentication, .timedOut, .remote, .usage,
            .tooLarge, .limit, .conflict, .unmet, .unsupported, .violation, .closed, .cancelled, .system,
        ] as [MeshError.Code])
    func codes(_ code: MeshError.Code) {
        var error = MeshError(code, "m", hint: "h", cause: MeshError(.closed, "c"))
        error.retryAfter = .seconds(1)
        let failure = CommandFailure(error, device: "d")
        #expect(failure.code == code && failure.code.exitStatus == code.exitStatus)
        #expect(failure.retryAfter == .seconds(1) && failure.causes.count == 1)
        #expect(failure.message == "m" && failure.hint == "h" && failure.device == "d")
    }

    private func temporary() throws -> String {
        let path = NSTemporaryDirectory() + "/qimesh-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return path
    }

    private func load(_ text: String, in folder: String) throws -> MeshConfiguration {
        let path = folder + "/qimesh.yaml"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return try MeshConfiguration.load(path, home: folder)
    }

    @Test("the default configuration changes nothing, and each of its settings can be used")
    func defaultConfiguration() throws {
        let folder = try temporary()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let untouched = try load(DefaultConfiguration.text, in: folder)
        #expect(untouched.xmpp.isEmpty && untouched.internal.listen == nil && untouched.device == MeshConfiguration().device)

        let lines = DefaultConfiguration.text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("#") && !(line.hasPrefix("# ") && !line.hasPrefix("#  ")) ? String(line.dropFirst()) : String(line)
        }
        let used = try load(lines.joined(separator: "\n"), in: folder)
        #expect(used.device.name == "pepper" && used.xmpp.map(\.jid) == ["pepper@robots.example"])
        #expect(used.internal.listen == ["tcp://127.0.0.1:9559"])
        #expect(used.limits == MeshConfiguration().limits && used.log == MeshConfiguration().log)
    }

    @Test("it is written once, never over another, and not for a file named by hand")
    func written() throws {
        let folder = try temporary()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let console = Console(json: false, quiet: true, verbosity: 0, colour: .never, environment: [:])
        let path = folder + "/.config/qimesh/qimesh.yaml"

        DefaultConfiguration.offer(try MeshPaths(environment: ["HOME": folder], configuration: folder + "/named.yaml"), console)
        #expect(!FileManager.default.fileExists(atPath: folder + "/named.yaml") && !FileManager.default.fileExists(atPath: path))

        let paths = try MeshPaths(environment: ["HOME": folder])
        DefaultConfiguration.offer(paths, console)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == DefaultConfiguration.text)

        try Data("device: { name: mine }\n".utf8).write(to: URL(fileURLWithPath: path))
        DefaultConfiguration.offer(paths, console)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "device: { name: mine }\n")
    }

    @Test("a folder that cannot be written is no reason not to run")
    func notWritable() throws {
        let folder = try temporary()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // A file where a folder would have to be: refused whoever we are.
        try Data().write(to: URL(fileURLWithPath: folder + "/.config"))
        let console = Console(json: false, quiet: true, verbosity: 0, colour: .never, environment: [:])
        DefaultConfiguration.offer(try MeshPaths(environment: ["HOME": folder]), console)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder + "/.config")).isEmpty)
    }
}
