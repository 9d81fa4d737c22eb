import Foundation
import QiMessaging
import Testing

@testable import QiMesh

@Suite struct LoginTests {
    /// The credentials of `user`, of a file with this content: the user's own, or one that is named.
    private func credentials(_ user: String, _ content: String, named: Bool = false, mode: Int = 0o600) throws -> Credentials {
        try withTemporaryDirectory { home in
            var paths = try MeshPaths(environment: ["HOME": home])
            let file = home + "/secret"
            try Data(content.utf8).write(to: URL(fileURLWithPath: file))
            try setPermissions(mode, file)
            if !named { paths.loginFile = file }
            return try Login.credentials(of: user, tokenFile: named ? file : nil, paths: paths)
        }
    }

    @Test func ofTheUsersOwnFile() throws {
        #expect(try credentials("nao", "nao\nopen sesame\n") == Credentials(user: "nao", token: "open sesame"))
        #expect(try credentials("nao", "nao\r\nopen sesame") == Credentials(user: "nao", token: "open sesame"))
        #expect(try credentials("nao", "\u{FEFF}nao\r\n\r\nopen sesame \r\n\r\n") == Credentials(user: "nao", token: "open sesame"))
    }

    @Test func ofAFileThatIsNamed() throws {
        #expect(try credentials("nao", "open sesame\nmore", named: true) == Credentials(user: "nao", token: "open sesame"))
    }

    @Test(arguments: [
        ("pepper\nopen sesame\n", "no token of nao"), ("nao\n", "no token of nao"), ("", "no token of nao"),
        (String(repeating: "x", count: 4_097), "larger than 4096"),
    ])
    func refusesWhatIsNoLogin(content: String, reason: String) {
        let error = #expect(throws: MeshError.self) { try credentials("nao", content) }
        #expect(error?.code == .configuration && error?.message.contains(reason) == true, "\(error?.message ?? "no error")")
        #expect(error?.detailedDescription().contains("sesame") == false)
    }

    @Test(arguments: [true, false]) func refusesAFileThatOthersCanRead(named: Bool) {
        let error = #expect(throws: MeshError.self) { try credentials("nao", "nao\nopen sesame\n", named: named, mode: 0o644) }
        #expect(error?.hint?.hasPrefix("chmod 600 ") == true)
    }

    @Test func aMissingFileSaysWhatToDo() throws {
        var paths = try MeshPaths(environment: ["HOME": "/home/op"])
        paths.loginFile = "/nonexistent/auth"
        let error = #expect(throws: MeshError.self) { try Login.credentials(of: "nao", tokenFile: nil, paths: paths) }
        #expect(error?.message == "there is no file /nonexistent/auth" && error?.hint?.contains("--token-file") == true)
    }
}
