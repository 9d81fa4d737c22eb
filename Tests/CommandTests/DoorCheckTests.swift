import ArgumentParser
import QiMesh
import Testing

@testable import QiMeshCLI

@Suite struct DoorCheckTests {
    private let key = KeyFingerprint(subjectPublicKeyInfo: [1])

    /// What to type is the whole command, as a shell takes it.
    @Test(arguments: [
        (["ls", "-u", "tcps://nao:9503", "--user", "nao"], "qimesh ls -u tcps://nao:9503 --user nao --fingerprint KEY"),
        (["call", "S.m", "it's", "--user", "nao"], "qimesh call S.m 'it'\\''s' --user nao --fingerprint KEY"),
        (["ls", "--fingerprint", "SHA256:old", "-q"], "qimesh ls -q --fingerprint KEY"),
        (["ls", "--fingerprint=SHA256:old"], "qimesh ls --fingerprint KEY"),
        (["call", "S.m", "--", "--fingerprint"], "qimesh call S.m --fingerprint KEY -- --fingerprint"),
    ])
    func theHintIsTheCommandWithTheKey(_ arguments: [String], _ expected: String) {
        #expect(DoorCheck.command(arguments, key) == expected.replacing("KEY", with: "\(key)"))
    }

    @Test func wordsNameBothKeys() {
        let other = KeyFingerprint(subjectPublicKeyInfo: [2])
        let changed = DoorCheck.changed(other, key, "tcps://nao:1", "c")
        #expect(changed.code == .trust && changed.message.contains("\(other)") && changed.message.contains("\(key)") && changed.hint == "c")
        #expect(DoorCheck.unknown(key, "tcps://nao:1", "c").message.contains("\(key)"))
    }

    @Test(arguments: [
        ["--certificate", "a", "--insecure"], ["--insecure", "--fingerprint", "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0"],
    ])
    func oneAnswerToWhoIsMeant(_ words: [String]) throws {
        let command = try #require(
            try QiMeshCommand.parseAsRoot(["ls", "-u", "tcps://nao:1", "--user", "nao"] + words) as? ListServices)
        let error = #expect(throws: CommandFailure.self) {
            _ = try command.node.entrance(to: DirectoryCandidates(url: "tcps://nao:1", environment: [:]))
        }
        #expect(error?.code == .usage)
    }
}
