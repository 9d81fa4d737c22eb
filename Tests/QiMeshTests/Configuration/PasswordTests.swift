import Foundation
import Testing

@testable import QiMesh

@Suite struct PasswordTests {
    private func read(_ content: [UInt8], mode: Int = 0o600) throws -> String {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.pw"
            try Data(content).write(to: URL(fileURLWithPath: path))
            try setPermissions(mode, path)
            return try PasswordSource.file(path).password(for: "a@b", environment: [:]).reveal()
        }
    }

    @Test(arguments: [("s3cret", "s3cret"), ("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), (" pass wörd ", " pass wörd "),
        ("\u{FEFF}s3cret\r\n\r\n", "s3cret"), ("s3cret\n \n\n", "s3cret")])
    func fileHoldsThePassword(content: String, password: String) throws {
        #expect(try read(Array(content.utf8)) == password)
    }

    @Test(arguments: [
        (Array("".utf8), "holds no password"), (Array("\n".utf8), "holds no password"), (Array("one\ntwo\n".utf8), "spans lines"),
        (Array("nul\0".utf8), "control characters"), ([0xff, 0xfe], "UTF-16"), ([0xff, 0x61], "not UTF-8"),
        (Array(repeating: UInt8(ascii: "x"), count: 1_025), "longer than 1024"),
        (Array(repeating: UInt8(ascii: "x"), count: 5_000), "larger than 1040"),
    ])
    func refusesWhatIsNoPassword(content: [UInt8], reason: String) {
        let error = #expect(throws: MeshError.self) { try read(content) }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "no error")")
    }

    @Test(arguments: [0o640, 0o604, 0o644])
    func refusesAFileThatOthersCanRead(mode: Int) {
        let error = #expect(throws: MeshError.self) { try read(Array("s3cret".utf8), mode: mode) }
        #expect(error?.hint?.hasPrefix("chmod 600 ") == true)
        #expect(error?.detailedDescription().contains("s3cret") == false)
    }

    @Test func aReadOnlyFileWillDo() throws {
        #expect(try read(Array("s3cret".utf8), mode: 0o400) == "s3cret")
    }

    @Test func aMissingFileSaysWhatToDo() {
        let error = #expect(throws: MeshError.self) {
            try PasswordSource.file("/nonexistent/it's.pw").password(for: "a@b", environment: [:])
        }
        #expect(error?.hint == #"put the password into it, then chmod 600 '/nonexistent/it'\''s.pw'"#)
    }

    @Test func environmentHoldsThePassword() throws {
        let source = PasswordSource.environment(PasswordSource.variable)
        #expect(try source.password(for: "a@b", environment: ["QIMESH_XMPP_PASSWORD": "s3cret"]).reveal() == "s3cret")
        for environment in [[:], ["QIMESH_XMPP_PASSWORD": ""]] {
            let error = #expect(throws: MeshError.self) { try source.password(for: "a@b", environment: environment) }
            #expect(error?.hint == "set password-file in the configuration, or QIMESH_XMPP_PASSWORD")
        }
    }

    @Test func nothingPrintsIt() {
        struct Login {
            var jid = "a@b"
            var password = Password("s3cret")
        }
        let login = Login()
        var text = "\(login) \(login.password) \(String(reflecting: login)) \(String(describing: Optional(login.password)))"
        dump(login, to: &text)
        text += Mirror(reflecting: login.password).children.map { "\($0)" }.joined()
        #expect(!text.contains("s3cret"))
        #expect(text.contains("[redacted]"))
    }
}
