import Foundation
import Testing

@testable import QiMesh

@Suite struct KnownDoorsTests {
    private let one = KeyFingerprint(subjectPublicKeyInfo: [1])
    private let other = KeyFingerprint(subjectPublicKeyInfo: [2])

    private func withDoors(_ body: (KnownDoors, String) throws -> Void) throws {
        try withTemporaryDirectory { folder in try body(KnownDoors(file: folder + "/state/known-doors"), folder + "/state/known-doors") }
    }

    @Test func eachAddressHasItsKey() throws {
        try withDoors { doors, path in
            #expect(try doors.key(of: "tcps://nao.example:9503") == nil)
            try doors.remember(one, of: "tcps://nao.example:9503")
            try doors.remember(other, of: "tcps://[::1]:9503")
            #expect(try doors.key(of: "tcps://NAO.example:9503") == one && doors.key(of: "tcps://[::1]:9503") == other)
            #expect(try doors.key(of: "tcps://nao.example:9504") == nil && doors.key(of: "tcps://nao2.example:9503") == nil)
            try doors.remember(other, of: "tcps://Nao.example:9503")
            #expect(try doors.key(of: "tcps://nao.example:9503") == other)
            #expect(try permissions(path) == 0o600)
            #expect(try String(contentsOfFile: path, encoding: .utf8).contains("\nnao.example:9503 \(other)\n"))
        }
    }

    @Test func onlyDoorsThatShowAKeyAreKept() throws {
        try withDoors { doors, path in
            for url in ["tcp://nao.example:9559", "unix:/x", "nonsense"] {
                try doors.remember(one, of: url)
                #expect(try doors.key(of: url) == nil)
            }
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test(arguments: [
        ("nao:1 SHA256:short\n", 0o600, "known-doors:1"), ("# x\nnao:1\n", 0o600, "known-doors:2"), ("", 0o622, "can be changed"),
    ])
    func aFileThatCannotBeBelievedKnowsNothing(_ content: String, _ mode: Int, _ complaint: String) throws {
        try withDoors { doors, path in
            try doors.remember(one, of: "tcps://a:1")
            try write(content, to: path, mode: mode)
            let error = #expect(throws: MeshError.self) { _ = try doors.key(of: "tcps://a:1") }
            #expect(error?.code == .trust && error?.message.contains(complaint) == true, "\(error?.message ?? "")")
            #expect(throws: MeshError.self) { try doors.remember(other, of: "tcps://a:1") }
        }
    }

    @Test func fingerprintsInBothSpellings() {
        #expect(KeyFingerprint(hexadecimal: one.hexadecimal) == one)
        for text in ["", "abc", one.hexadecimal + "0", String(one.hexadecimal.dropLast()) + "g"] {
            #expect(KeyFingerprint(hexadecimal: text) == nil)
        }
    }
}
