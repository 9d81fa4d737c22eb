import QiMessaging
import Testing

@testable import QiMesh

@Suite struct NAOqiConfigurationTests {
    private func parse(_ text: String) throws -> MeshConfiguration {
        try MeshConfiguration.parse(text, path: "qimesh.yaml", directory: "/etc/qimesh", home: "/home/op")
    }

    private static let key = "\(KeyFingerprint(digest: Array(repeating: 7, count: 32)))"

    @Test(arguments: [
        ("tcp://127.0.0.1:9559", "tcp://127.0.0.1:9559"), ("127.0.0.1", "tcp://127.0.0.1:9559"),
        ("pepper.local", "tcp://pepper.local:9559"),
        ("tcps://10.0.0.7", "tcps://10.0.0.7:9503"), ("\"tcp://[::1]:9559\"", "tcp://[::1]:9559"),
    ])
    func addressAloneIsTakenAsPeopleTypeIt(typed: String, meant: String) throws {
        #expect(try parse("device: { naoqi: \(typed) }\n").device.naoqi == .init(address: meant))
    }

    @Test func everySettingOfTheMappingIsRead() throws {
        let text = """
            device:
              naoqi:
                address: tcps://pepper.local:9503
                user: nao
                token-file: nao.token
                fingerprint: \(Self.key)
                publish: [Vision, "Own*"]
                return-time: 2m
            """
        let naoqi = try #require(try parse(text).device.naoqi)
        #expect(naoqi.address == "tcps://pepper.local:9503" && naoqi.user == "nao" && naoqi.tokenFile == "/etc/qimesh/nao.token")
        #expect(naoqi.fingerprint == KeyFingerprint(Self.key) && naoqi.certificate == nil)
        #expect(naoqi.publish == ["Vision", "Own*"] && naoqi.returnTime == .seconds(120))
    }

    static let mistakes: [(String, String)] = [
        ("device:\n  naoqi: unix:/run/x\n", "must name host and port of a directory"),
        ("device:\n  naoqi: tcp://0.0.0.0:9559\n", "must name host and port of a directory"),
        ("device:\n  naoqi: { user: nao }\n", "naoqi needs an address"),
        ("device:\n  naoqi: { address: tcps://h, user: nao }\n", "user and token-file have to be given both, or neither"),
        ("device:\n  naoqi: { address: tcps://h, token: x }\n", "tokens are not kept in the configuration"),
        ("device:\n  naoqi: { address: \"tcp://10.0.0.7\", user: nao, token-file: t }\n", "a token would be readable on the way"),
        ("device:\n  naoqi: { address: tcp://h, fingerprint: \"\(key)\" }\n", "nothing is shown at tcp://h:9559"),
        ("device:\n  naoqi: { address: tcps://h, fingerprint: x }\n", "is not of the form SHA256:"),
        ("device:\n  naoqi: { address: tcps://h, return-time: 0s }\n", "is not a time between 1s and 1h"),
        ("device:\n  naoqi: { address: tcps://h, publish: [\"\"] }\n", "is no name of a service"),
        ("device:\n  role: member\n  directory: tcp://h:9559\n  naoqi: tcp://h\n", "a member board shows what its master lists"),
    ]

    @Test(arguments: mistakes)
    func mistakesAreToldWithTheirPlace(text: String, message: String) {
        let error = #expect(throws: MeshError.self) { try parse(text) }
        #expect(error?.code == .configuration && error?.message.hasPrefix("qimesh.yaml:") == true)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "no error")")
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("localhost", true), ("tcp://127.0.0.1:9557", false), ("tcp://192.0.2.7:9559", false),
        ("tcps://127.0.0.1:9559", false),
    ])
    func directoryListensAtTheNextPortWhereNAOqiHasTheUsualOne(address: String, moves: Bool) throws {
        try withTemporaryDirectory { folder in
            let paths = try MeshPaths(environment: ["HOME": folder, "XDG_STATE_HOME": folder, "XDG_RUNTIME_DIR": folder])
            let configuration = try parse("device: { naoqi: \"\(address)\" }\n")
            #expect(configuration.listeners(paths: paths).last == (moves ? "tcp://127.0.0.1:9560" : "tcp://127.0.0.1:9559"))
            let explicit = try parse("device: { naoqi: \"\(address)\" }\ninternal: { listen: [\"tcp://127.0.0.1:9559\"] }\n")
            #expect(explicit.listeners(paths: paths).last == "tcp://127.0.0.1:9559")
        }
    }

    @Test(arguments: [
        ("tcp://127.0.0.1:9559", "tcp://127.0.0.1:9559", true), ("localhost", "tcp://0.0.0.0:9559", true),
        ("tcp://10.0.0.7:9559", "tcp://10.0.0.7:9559", true), ("tcp://127.0.0.1:9559", "tcp://127.0.0.1:9560", false),
        ("tcp://192.0.2.7:9559", "tcp://0.0.0.0:9559", false),
    ])
    func nodeThatWouldFollowItselfIsRefused(naoqi: String, listen: String, isRefused: Bool) throws {
        try withTemporaryDirectory { folder in
            let paths = try MeshPaths(environment: ["HOME": folder, "XDG_STATE_HOME": folder, "XDG_RUNTIME_DIR": folder])
            let configuration = try parse("device: { naoqi: \"\(naoqi)\" }\ninternal: { listen: [\"\(listen)\"] }\n")
            guard isRefused else { return try configuration.checkNAOqi(paths: paths) }
            let error = #expect(throws: MeshError.self) { try configuration.checkNAOqi(paths: paths) }
            #expect(error?.code == .configuration && error?.message.contains("have one address") == true)
        }
    }

    /// A token goes to no directory of which nothing says that it is the one.
    @Test func keyOfTheDirectoryIsTheOneThatCommandsHavePinned() async throws {
        try withTemporaryDirectory { folder in
            let paths = try MeshPaths(environment: ["HOME": folder, "XDG_STATE_HOME": folder, "XDG_RUNTIME_DIR": folder])
            try paths.prepareDirectories()
            try write("secret\n", to: folder + "/token", mode: 0o600)
            var naoqi = MeshConfiguration.NAOqi(address: "tcps://192.0.2.7:9503")
            (naoqi.user, naoqi.tokenFile) = ("nao", folder + "/token")
            let unknown = #expect(throws: MeshError.self) { try naoqi.upstream(paths: paths, door: nil) }
            #expect(unknown?.code == .configuration && unknown?.message.contains("no key is known") == true)
            #expect(unknown?.hint == "qimesh ls --url tcps://192.0.2.7:9503 --user nao --token-file \(folder)/token")
            let key = try #require(KeyFingerprint(Self.key))
            try KnownDoors(file: paths.knownDoorFile).remember(key, of: naoqi.address)
            let known = try naoqi.upstream(paths: paths, door: nil)
            #expect(known.credentials == Credentials(user: "nao", token: "secret"))
            guard case .keys([key.hexadecimal])? = known.tls.trust else {
                Issue.record("\(String(describing: known.tls.trust))")
                return
            }
            try write("secret\n", to: folder + "/token", mode: 0o644)
            let exposed = #expect(throws: MeshError.self) { try naoqi.upstream(paths: paths, door: nil) }
            #expect(exposed?.message.contains("can be read by other users") == true)
        }
    }

    @Test func changeNeedsARestart() throws {
        let before = try parse("device: { name: a }\n")
        #expect(before.settingsForRestart(against: try parse("device: { name: b, naoqi: 127.0.0.1 }\n")) == ["device"])
    }
}
