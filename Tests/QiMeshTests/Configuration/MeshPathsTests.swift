import Foundation
import Testing

@testable import QiMesh

@Suite struct MeshPathsTests {
    @Test func defaultsBelowHome() throws {
        let paths = try MeshPaths(environment: ["HOME": "/home/op"])
        #expect(paths.configurationCandidates == ["/home/op/.config/qimesh/qimesh.yaml", "/etc/qimesh/qimesh.yaml"])
        #expect(!paths.configurationIsExplicit)
        #expect(paths.loginFile == "/home/op/.config/qimesh/auth")
        #expect(paths.stateDirectory == "/home/op/.local/state/qimesh")
        #expect(paths.runtimeDirectory == "/home/op/.local/state/qimesh/run")
        #expect(paths.trustFile == "/home/op/.local/state/qimesh/trust.json")
        #expect(paths.controlSocket == "/home/op/.local/state/qimesh/run/control.sock")
        #expect(paths.directorySocket == "/home/op/.local/state/qimesh/run/sd.sock")
        #expect(
            paths.directoryCandidates == [
                "unix:/home/op/.local/state/qimesh/run/sd.sock", "unix:/run/qimesh/sd.sock", "tcp://127.0.0.1:9559",
            ])
    }

    @Test func followsXDG() throws {
        let paths = try MeshPaths(environment: [
            "HOME": "/home/op", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/run/user/1000",
        ])
        #expect(paths.configurationCandidates == ["/c/qimesh/qimesh.yaml", "/etc/qimesh/qimesh.yaml"])
        #expect(paths.loginFile == "/c/qimesh/auth")
        #expect(paths.stateDirectory == "/s/qimesh")
        #expect(paths.controlSocket == "/run/user/1000/qimesh/control.sock")
    }

    @Test func ignoresRelativeAndEmptyXDG() throws {
        let paths = try MeshPaths(environment: [
            "HOME": "/home/op", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "", "QIMESH_CONFIG": "",
        ])
        #expect(paths == (try MeshPaths(environment: ["HOME": "/home/op"])))
    }

    @Test func aNamedConfigurationIsTheOnlyOne() throws {
        let fromEnvironment = try MeshPaths(environment: ["HOME": "/h", "QIMESH_CONFIG": "/a.yaml"])
        #expect(fromEnvironment.configurationCandidates == ["/a.yaml"])
        #expect(fromEnvironment.configurationIsExplicit)
        #expect(fromEnvironment.configurationFile == "/a.yaml")
        let fromOption = try MeshPaths(environment: ["HOME": "/h", "QIMESH_CONFIG": "/a.yaml"], configuration: "b.yaml")
        #expect(fromOption.configurationCandidates == ["b.yaml"])
    }

    @Test func takesTheFirstFileThatExists() throws {
        try withTemporaryDirectory { home in
            var paths = try MeshPaths(environment: ["HOME": home])
            paths.configurationCandidates = [home + "/one.yaml", home + "/two.yaml"]
            #expect(paths.configurationFile == nil)
            try write("", to: home + "/two.yaml")
            #expect(paths.configurationFile == home + "/two.yaml")
            try write("", to: home + "/one.yaml")
            #expect(paths.configurationFile == home + "/one.yaml")
        }
    }

    @Test func needsAHome() {
        let error = #expect(throws: MeshError.self) { try MeshPaths(environment: [:]) }
        #expect(error?.code == .configuration)
        #expect(throws: Never.self) { try MeshPaths(environment: [:], home: "/home/op") }
    }

    /// `/qimesh/control.sock` takes 20 bytes of the 107.
    @Test func refusesSocketPathsThatTheSystemCannotTake() throws {
        let longest = "/" + String(repeating: "x", count: 86)
        #expect(try MeshPaths(environment: ["HOME": "/h", "XDG_RUNTIME_DIR": longest]).controlSocket.utf8.count == 107)
        let error = #expect(throws: MeshError.self) {
            try MeshPaths(environment: ["HOME": "/h", "XDG_RUNTIME_DIR": longest + "x"])
        }
        #expect(error?.message.contains("has 108 bytes; a unix socket takes at most 107") == true)
        #expect(error?.hint == "set XDG_RUNTIME_DIR to a shorter directory")
    }

    @Test func makesPrivateDirectories() throws {
        try withTemporaryDirectory { home in
            let paths = try MeshPaths(environment: ["HOME": home])
            try paths.prepareDirectories()
            try paths.prepareDirectories()
            #expect(try permissions(paths.stateDirectory) == 0o700)
            #expect(try permissions(paths.runtimeDirectory) == 0o700)
        }
    }

    @Test(arguments: [0o755, 0o710, 0o777])
    func refusesARuntimeDirectoryOpenToOthers(mode: Int) throws {
        try withTemporaryDirectory { home in
            let paths = try MeshPaths(environment: ["HOME": home])
            try paths.prepareDirectories()
            try setPermissions(mode, paths.runtimeDirectory)
            let error = #expect(throws: MeshError.self) { try paths.prepareDirectories() }
            #expect(error?.hint == "chmod 700 \(paths.runtimeDirectory)")
        }
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a directory away"))
    func refusesARuntimeDirectoryOfAnotherUser() throws {
        try withTemporaryDirectory { home in
            let paths = try MeshPaths(environment: ["HOME": home])
            try paths.prepareDirectories()
            #expect(chown(paths.runtimeDirectory, 12_345, 12_345) == 0)
            let error = #expect(throws: MeshError.self) { try paths.prepareDirectories() }
            #expect(error?.message.contains("belongs to user 12345") == true)
        }
    }

    @Test func aFileInTheWayIsAnError() throws {
        try withTemporaryDirectory { home in
            try write("", to: home + "/.local")
            let paths = try MeshPaths(environment: ["HOME": home])
            let error = #expect(throws: MeshError.self) { try paths.prepareDirectories() }
            #expect(error?.message.contains("cannot create directory") == true)
        }
    }
}
