import Foundation
import QiMessaging
import Synchronization
import Testing

@testable import QiMesh

@Suite struct AppStoreTests {
    /// What a store told of its rules, newest last.
    private final class Told: Sendable {
        private let rules = Mutex<[[PermissionRule]]>([])
        var all: [[PermissionRule]] { rules.withLock { $0 } }
        func tell(_ new: [PermissionRule]) { rules.withLock { $0.append(new) } }
    }

    private func withStore(_ body: (AppStore, Told, String) throws -> Void) throws {
        try withTemporaryDirectory { folder in
            let told = Told()
            try body(try AppStore(file: folder + "/apps.json", onChanged: { told.tell($0) }), told, folder + "/apps.json")
        }
    }

    private func manifest(_ name: String = "tablet") throws -> AppManifest {
        try AppManifest("name: \(name)\npermissions:\n  - allow: [\"ALTextToSpeech.*\"]")
    }

    @Test func aSessionIsGoodOnceItsApplicationIsApproved() throws {
        try withStore { store, told, _ in
            let session = try store.install(manifest(), approved: false)
            #expect(store.authenticate(name: "tablet", session: session) == nil)
            #expect(store.rules.isEmpty)
            try store.approve("tablet")
            #expect(store.authenticate(name: "tablet", session: session) == .app("tablet"))
            #expect(try store.rules == manifest().rules)
            #expect(try told.all.last == manifest().rules)
            #expect(told.all.first?.isEmpty == true)
        }
    }

    @Test func wrongSessionsAndNamesAreNobody() throws {
        try withStore { store, _, _ in
            let session = try store.install(manifest(), approved: true)
            let other = try store.install(manifest("desk"), approved: true)
            for (name, guess) in [
                ("tablet", other), ("desk", session), ("tablet", ""), ("tablet", String(session.dropLast())), ("tablet", session + "A"),
                ("", session), ("app:tablet", session), ("Tablet", session),
            ] {
                #expect(store.authenticate(name: name, session: guess) == nil, "\(name)")
            }
            #expect(store.authenticate(name: "desk", session: other) == .app("desk"))
        }
    }

    @Test func aRevokedApplicationIsNobodyAndMayNotStay() throws {
        try withStore { store, told, _ in
            let session = try store.install(manifest(), approved: true)
            let proof = try #require(store.proof(of: Credentials(user: "tablet", token: session)))
            #expect(store.isStillGood(proof))
            try store.revoke("tablet")
            #expect(store.authenticate(name: "tablet", session: session) == nil)
            #expect(!store.isStillGood(proof))
            #expect(told.all.last?.isEmpty == true)
            // Others are not its business.
            #expect(store.isStillGood(CredentialProof(.user("tablet"))))
            #expect(store.isStillGood(CredentialProof(.device("tablet@mesh.test"))))
            for missing in [{ try store.revoke("tablet") }, { try store.approve("tablet") }] {
                let error = #expect(throws: MeshError.self) { try missing() }
                #expect(error?.code == .notFound)
            }
        }
    }

    @Test func installingAnewMakesAnotherSessionAndAsksAgain() throws {
        try withStore { store, _, _ in
            let first = try store.install(manifest(), approved: true)
            let proof = try #require(store.proof(of: Credentials(user: "tablet", token: first)))
            let second = try store.install(manifest(), approved: false)
            #expect(first != second)
            #expect(store.authenticate(name: "tablet", session: first) == nil)
            #expect(!store.isStillGood(proof))
            try store.approve("tablet")
            // The approval is the new session's.
            #expect(!store.isStillGood(proof))
            #expect(store.authenticate(name: "tablet", session: second) == .app("tablet"))
            #expect(try store.apps().map(\.name) == ["tablet"])
        }
    }

    @Test func theFileIsPrivateAndHoldsNoSession() throws {
        try withStore { store, _, path in
            let session = try store.install(manifest(), approved: true)
            #expect(try permissions(path) == 0o600)
            #expect(try !String(contentsOfFile: path, encoding: .utf8).contains(session))
            #expect(session.utf8.count == 22)
            let again = try AppStore(file: path)
            #expect(again.authenticate(name: "tablet", session: session) == .app("tablet"))
        }
    }

    /// The gateway may be a process of its own.
    @Test func whatAnotherProcessChangesCountsAtOnce() throws {
        try withStore { store, _, path in
            let told = Told()
            let gateway = try AppStore(file: path, onChanged: { told.tell($0) })
            #expect(told.all == [[]])
            let session = try store.install(manifest(), approved: true)
            #expect(gateway.authenticate(name: "tablet", session: session) == .app("tablet"))
            // The rules were told before it was let in.
            #expect(try told.all.last == manifest().rules)
            let proof = try #require(gateway.proof(of: Credentials(user: "tablet", token: session)))
            try store.revoke("tablet")
            #expect(!gateway.isStillGood(proof))
            #expect(told.all.last?.isEmpty == true)
        }
    }

    @Test func aFileThatBreaksLetsNobodyIn() throws {
        try withStore { store, told, path in
            let session = try store.install(manifest(), approved: true)
            let good = try Data(contentsOf: URL(fileURLWithPath: path))
            let proof = try #require(store.proof(of: Credentials(user: "tablet", token: session)))
            try write("{", to: path)
            #expect(store.authenticate(name: "tablet", session: session) == nil)
            #expect(!store.isStillGood(proof))
            #expect(told.all.last?.isEmpty == true)
            #expect(throws: MeshError.self) { _ = try store.apps() }
            #expect(throws: MeshError.self) { _ = try AppStore(file: path) }
            try write(String(decoding: good, as: UTF8.self), to: path, mode: 0o644)
            #expect(store.authenticate(name: "tablet", session: session) == nil)
            try setPermissions(0o600, path)
            #expect(store.authenticate(name: "tablet", session: session) == .app("tablet"))
            #expect(try told.all.last == manifest().rules)
        }
    }

    @Test func applicationsAreBounded() throws {
        try withStore { store, _, _ in
            for index in 0..<AppStore.limit { _ = try store.install(manifest("app\(index)"), approved: false) }
            let error = #expect(throws: MeshError.self) { _ = try store.install(manifest("more"), approved: false) }
            #expect(error?.code == .tooLarge)
        }
    }
}
