import Foundation
import QiMessaging
import Synchronization
import Testing

@testable import QiMesh

@Suite struct PolicyStoreTests {
    private static let op = Principal(.device("op@lab.example"), zone: .internet)

    private func store(in folder: String) throws -> PolicyStore {
        let paths = try MeshPaths(environment: ["HOME": folder], configuration: folder + "/qimesh.yaml")
        try write("log: { level: info }\n", to: folder + "/qimesh.yaml")
        return try PolicyStore.open(try MeshConfiguration.load(paths: paths), paths: paths)
    }

    @Test func withoutAFileContactsMayCallListenAndRead() throws {
        try withTemporaryDirectory { folder in
            let store = try store(in: folder)
            #expect(store.path == nil && store.file == nil)
            let allowed = Access.allCases.filter { store.control.policy.decide(Self.op, $0, service: "A", member: "b").isAllowed }
            #expect(allowed == [.call, .subscribe, .read])
            #expect(!store.control.policy.decide(Self.op, .call, service: "A", member: "stats").isAllowed)
            #expect(store.expectedPath == nil)
            let error = #expect(throws: MeshError.self) { try store.reload(by: "test") }
            #expect(error?.message == "there is no policy file \(folder)/policy.yaml")
            #expect(error?.hint?.hasSuffix("qimesh policy edit") == true)
        }
    }

    @Test func aFirstFileIsTakenOverAndOneThatIsRemovedStaysInForce() throws {
        try withTemporaryDirectory { folder in
            let store = try store(in: folder)
            let path = folder + "/policy.yaml"
            try write("rules:\n  - who: op@lab.example\n    alow: []\n", to: path)
            #expect(throws: MeshError.self) { try store.reload(by: "test") }
            #expect(store.path == nil && store.control.policy.decide(Self.op, .call, service: "A", member: "b").isAllowed)
            try write("rules:\n  - who: op@lab.example\n    allow: [\"B.*\"]\n", to: path)
            #expect(try store.reload(by: "test").path == path && store.path == path)
            #expect(!store.control.policy.decide(Self.op, .call, service: "A", member: "b").isAllowed)
            try FileManager.default.removeItem(atPath: path)
            #expect(store.expectedPath == path)
            #expect(throws: MeshError.self) { try store.reload(by: "test") }
            #expect(store.control.policy.decide(Self.op, .call, service: "B", member: "b").isAllowed)
        }
    }

    @Test func aFileThatTheConfigurationNamesLaterIsTakenOver() throws {
        try withTemporaryDirectory { folder in
            let store = try store(in: folder)
            try write("rules:\n  - who: op@lab.example\n    allow: [\"C.*\"]\n", to: folder + "/other.yaml")
            var configuration = MeshConfiguration()
            configuration.policy = folder + "/other.yaml"
            #expect(MeshConfiguration().settingsForRestart(against: configuration).isEmpty)
            store.follow(configuration)
            #expect(store.path == nil)
            #expect(try store.reload(by: "test").path == folder + "/other.yaml")
            #expect(store.control.policy.decide(Self.op, .call, service: "C", member: "b").isAllowed)
        }
    }

    @Test func aBrokenFileLeavesTheOldRulesAndSaysWhereItIsBroken() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/policy.yaml"
            try write("rules:\n  - who: op@lab.example\n    allow: [\"A.*\"]\n", to: path)
            let store = try store(in: folder)
            #expect(store.path == path)
            func mayCall(_ service: String) -> Bool { store.control.policy.decide(Self.op, .call, service: service, member: "b").isAllowed }
            #expect(mayCall("A") && !mayCall("B"))
            let revision = store.control.revision
            for broken in ["rules:\n  - who: op@lab.example\n    alow: []\n", "rules: [", "rules:\n  - who: x\n"] {
                try write(broken, to: path)
                let error = #expect(throws: MeshError.self) { try store.reload(by: "test") }
                #expect(error?.message.contains("\(path):") == true && error?.hint?.contains("stay in force") == true)
            }
            try FileManager.default.removeItem(atPath: path)
            #expect(throws: MeshError.self) { try store.reload(by: "test") }
            #expect(mayCall("A") && !mayCall("B") && store.control.revision == revision)
            try write("groups: { g: [\"op@lab.example\"] }\nrules:\n  - who: group:g\n    allow: [\"B.*\"]\n", to: path)
            #expect(try store.reload(by: "test").groupCount == 1)
            #expect(!mayCall("A") && mayCall("B") && store.control.revision == revision + 1)
        }
    }

    /// A rule that could never hold is no rule: it is refused with its line and the reason, at the start and at a reload.
    @Test func hostingBehindTheDirectoryOfANAOqiIsRefusedWithTheReason() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/policy.yaml"
            let paths = try MeshPaths(environment: ["HOME": folder], configuration: folder + "/qimesh.yaml")
            try write("gateway: { listen: [\"tcps://127.0.0.1:9503\"], naoqi: \"tcp://10.0.0.7:9559\" }\n", to: folder + "/qimesh.yaml")
            let configuration = try MeshConfiguration.load(paths: paths)
            func rules(_ who: String) -> String { "groups: { g: [\"user:b\"] }\nrules:\n  - who: \(who)\n    register: [\"Vision*\"]\n" }
            // A device registers with this node's own directory.
            try write(rules("vision@cloud.example"), to: path)
            let store = try PolicyStore.open(configuration, paths: paths)
            for who in ["user:bob", "everyone", "group:g", "zone:lan", "[vision@cloud.example, \"app:a\"]"] {
                try write(rules(who), to: path)
                let error = #expect(throws: MeshError.self) { try PolicyStore.open(configuration, paths: paths) }
                #expect(error?.code == .configuration && error?.message.hasPrefix("\(path):3: rule 1 lets ") == true, "\(String(describing: error))")
                #expect(error?.message.contains("gateway.naoqi") == true && error?.hint?.contains("register") == true)
                #expect(throws: MeshError.self) { try store.reload(by: "test") }
            }
            #expect(store.control.policy.decide(Principal(.device("vision@cloud.example"), zone: .internet), .register, service: "Vision1").isAllowed)
        }
    }

    @Test func grantsOfApplicationsComeAfterTheFileAndStayOverAReload() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/policy.yaml"
            try write("rules:\n  - who: \"app:a\"\n    deny: [\"Secret.*\"]\n", to: path)
            let store = try store(in: folder)
            var rule = PermissionRule(who: [.app(NameGlob("a"))])
            rule.allow = ["A.*", "Secret.*"]
            store.setGrants([rule])
            let app = Principal(.app("a"), zone: .lan)
            for _ in 0..<2 {
                #expect(store.control.policy.decide(app, .call, service: "A", member: "b").isAllowed)
                #expect(!store.control.policy.decide(app, .call, service: "Secret", member: "b").isAllowed)
                _ = try store.reload(by: "test")
            }
            store.setGrants([])
            #expect(!store.control.policy.decide(app, .call, service: "A", member: "b").isAllowed)
        }
    }

    @Test func theFileIsTheOneNamedElseTheOneBesideTheConfiguration() throws {
        try withTemporaryDirectory { folder in
            let paths = try MeshPaths(environment: ["HOME": folder])
            try FileManager.default.createDirectory(atPath: folder + "/.config/qimesh", withIntermediateDirectories: true)
            var configuration = MeshConfiguration()
            let beside = folder + "/.config/qimesh/policy.yaml"
            try write("rules: []\n", to: beside)
            #expect(configuration.policyFile(paths: paths) == beside)
            configuration.policy = folder + "/other.yaml"
            #expect(configuration.policyFile(paths: paths) == folder + "/other.yaml")
            // One that is named has to be there.
            #expect(throws: MeshError.self) { try PolicyStore.open(configuration, paths: paths) }
            let named = try MeshConfiguration.parse("policy: p.yaml\n", path: "q.yaml", directory: "/etc/qimesh", home: "/root")
            #expect(named.policy == "/etc/qimesh/p.yaml")
        }
    }
}
