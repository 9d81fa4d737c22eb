import Foundation
import QiMessaging
import Testing

@testable import QiMesh

/// The flat form of a manifest, which the node takes from a command and keeps.
@Suite struct AppPermissionTests {
    static let everything = """
        name: choregraphe
        description: Builds behaviours on a desk
        permissions:
          - deny: ["ALMotion.*"]
            allow: ["AL*", "*.get*"]
            call: ["A.b"]
            subscribe: ["A.c"]
            read: ["A.d"]
            write: ["A.e"]
            emit: ["A.f"]
            register: ["Choregraphe*"]
            limit: { calls: 20/m, inband: 2kB/h, payload: 64kB, in-flight: 3, subscriptions: 4, queue: 1MB }
            exclusive: true
            expires: 2027-01-01T12:00:00Z
          - allow: ["*"]
        """

    @Test func nothingIsLostOnTheWay() throws {
        let written = try AppManifest(Self.everything)
        let read = try AppManifest(name: written.name, description: written.description, permissions: written.permissions)
        #expect(read == written)
        #expect(written.permissions[1] == ["allow *"])
        #expect(written.permissions[0].contains("limit.calls 20/m") && written.permissions[0].contains("expires 1798804800"))
    }

    @Test(arguments: [
        ["who everyone", "allow *"], ["allow"], ["allow "], ["allow .say"], ["grant *"], ["limit.calls 5", "allow *"],
        ["limit.speed 5/s", "allow *"],
        ["limit.payload -1", "allow *"], ["limit.in-flight 9999999", "allow *"], ["exclusive maybe", "allow *"], ["expires soon", "allow *"],
        ["limit.calls 5/s"], [],
        ["allow " + String(repeating: "x", count: 600)], Array(repeating: "allow *", count: 1_001),
    ])
    func whatNoManifestCouldSayIsRefused(_ lines: [String]) {
        let error = #expect(throws: MeshError.self) { _ = try AppManifest(name: "x", description: "", permissions: [lines]) }
        #expect(error?.code == .configuration && (error?.message.utf8.count ?? 0) < 300)
    }

    @Test(arguments: [("", ""), ("a b", ""), ("app:x", ""), ("x", "a\nb"), ("x", String(repeating: "d", count: 513))])
    func namesAndDescriptionsAreJudgedAgain(_ name: String, _ description: String) {
        #expect(throws: MeshError.self) { _ = try AppManifest(name: name, description: description, permissions: [["allow *"]]) }
    }

    @Test func permissionsAreBounded() {
        #expect(throws: MeshError.self) { _ = try AppManifest(name: "x", description: "", permissions: []) }
        #expect(throws: MeshError.self) {
            _ = try AppManifest(name: "x", description: "", permissions: Array(repeating: ["allow *"], count: 65))
        }
    }

    /// The first version kept manifests as they were written.
    @Test func aFileOfTheFirstVersionIsReadAndWrittenAnew() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/apps.json"
            let manifest = "name: tablet\\npermissions:\\n  - allow: [\\\"A.*\\\"]"
            let hash = Base64URL.encode(Array(repeating: 7, count: 32))
            let app = #"{"manifest":""# + manifest + #"","session":""# + hash + #"","installed":"2026-11-01T00:00:00Z"}"#
            try write(#"{"version":1,"apps":["# + app + "]}", to: path)
            // To the second, as the file has it.
            let store = try AppStore(file: path, now: { Date(timeIntervalSince1970: 1_800_000_000) })
            #expect(try store.apps().map(\.manifest.permissions) == [[["allow A.*"]]])
            try store.approve("tablet")
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(text.contains(#""version" : 2"#) && text.contains("allow A.*") && !text.contains("permissions:"))
            #expect(try AppStore(file: path).apps() == store.apps())
        }
    }
}
