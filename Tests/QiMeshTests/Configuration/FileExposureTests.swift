import Foundation
import Logging
import Testing

@testable import QiMesh

/// What a node is told by files that other users can change is refused, with what to type.
@Suite struct FileExposureTests {
    @Test func aConfigurationThatOthersCanChangeIsRefused() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/qimesh.yaml"
            try write("device: { name: x }\n", to: path, mode: 0o664)
            let error = #expect(throws: MeshError.self) { _ = try MeshConfiguration.load(path) }
            #expect(error?.code == .configuration && error?.message == "\(path) can be changed by other users (mode 0664)")
            #expect(error?.hint == "chmod go-w \(path)")
            try setPermissions(0o644, path)
            #expect(try MeshConfiguration.load(path).device.name == "x")
        }
    }

    @Test func authoritiesOfAServerThatOthersCanChangeAreRefused() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/ca.pem"
            try write("", to: path, mode: 0o666)
            let text = "xmpp: [{ jid: a@b.example, password-file: pw, ca-file: ca.pem }]"
            let account = try #require(try MeshConfiguration.parse(text, path: "q", directory: folder, home: folder).xmpp.first)
            let error = #expect(throws: MeshError.self) { try account.checkFiles() }
            #expect(error?.hint == "chmod go-w \(path)")
            try setPermissions(0o644, path)
            try account.checkFiles()
        }
    }

    /// Certificate, key and authorities of the public door.
    @Test(arguments: [("certificate", 0o646, "go-w"), ("key", 0o640, "600"), ("trust", 0o664, "go-w")])
    func filesOfTheDoorAreCheckedBeforeItOpens(_ name: String, _ mode: Int, _ change: String) throws {
        try withTemporaryDirectory { folder in
            for file in ["certificate", "key", "trust"] { try write("", to: "\(folder)/\(file)", mode: file == name ? mode : 0o600) }
            let text = "gateway: { listen: [\"tcps://127.0.0.1:0\"], certificate: certificate, key: key, trust: trust }"
            let configuration = try MeshConfiguration.parse(text, path: "q", directory: folder, home: folder)
            let paths = try MeshPaths(environment: ["HOME": folder])
            try paths.prepareDirectories()
            let service = try GatewayService(configuration: configuration, paths: paths, access: nil, logger: Logger(label: "test"))
            let error = #expect(throws: MeshError.self) { _ = try service.options() }
            #expect(error?.hint == "chmod \(change) \(folder)/\(name)", "\(error?.message ?? "")")
        }
    }
}
