import Foundation
import QiMessaging
import Testing

@testable import QiMesh

@Suite struct UserStoreTests {
    private func identity(_ store: UserStore, _ user: String, _ token: String) -> Principal.Identity? {
        store.identity(of: Credentials(user: user, token: token))
    }

    @Test func aTokenIsKnownAndKeptNowhere() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/users"
            let store = try UserStore(file: path)
            let token = try store.set("nao")
            #expect(token.count == 48)
            #expect(identity(store, "nao", token) == .user("nao"))
            #expect(identity(store, "nao", token + "x") == nil && identity(store, "pepper", token) == nil)
            #expect(try permissions(path) == 0o600)
            let content = try String(contentsOfFile: path, encoding: .utf8)
            #expect(!content.contains(token) && content.contains("nao "))
            // Another process reads the same.
            #expect(identity(try UserStore(file: path), "nao", token) == .user("nao"))
            #expect(try store.set("nao") != token)
            #expect(identity(store, "nao", token) == nil)
        }
    }

    /// `qimesh user` changes the file under a running gateway.
    @Test func whatAnotherProcessChangesCounts() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/users"
            let (running, command) = (try UserStore(file: path), try UserStore(file: path))
            let token = try command.set("nao", token: "0123456789abcdef")
            let proof = try #require(running.proof(of: Credentials(user: "nao", token: token)))
            #expect(proof.identity == .user("nao") && running.isStillGood(proof))
            #expect(try command.remove("nao") && !command.remove("nao"))
            #expect(identity(running, "nao", token) == nil && !running.isStillGood(proof))
            // Of others it knows nothing.
            #expect(running.isStillGood(CredentialProof(.app("choregraphe"))) && running.isStillGood(CredentialProof(.certificate("00"))))
        }
    }

    /// Removed and added again counts, too, however quickly: what is good is a token, not a name.
    @Test func anEarlierTokenIsNotGoodAnyMore() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/users"
            let (running, command) = (try UserStore(file: path), try UserStore(file: path))
            for replace in [{ try command.set("nao") }, { _ = try command.remove("nao"); return try command.set("nao") }] {
                let first = try #require(running.proof(of: Credentials(user: "nao", token: try command.set("nao"))))
                #expect(running.isStillGood(first))
                let second = try #require(running.proof(of: Credentials(user: "nao", token: try replace())))
                #expect(!running.isStillGood(first) && running.isStillGood(second))
            }
        }
    }

    @Test func aBrokenOrOpenFileLetsNobodyIn() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/users"
            let store = try UserStore(file: path)
            let token = try store.set("nao")
            try setPermissions(0o644, path)
            try write(String(contentsOfFile: path, encoding: .utf8) + "\n", to: path, mode: 0o644)
            #expect(identity(store, "nao", token) == nil)
            let open = #expect(throws: MeshError.self) { try UserStore(file: path) }
            #expect(open?.message.contains("can be read by other users") == true)
            try write("# fine\nnao zz 00\n", to: path)
            let broken = #expect(throws: MeshError.self) { try UserStore(file: path) }
            #expect(broken?.message == "\(path):2: this is no user with salt and digest")
            #expect(identity(store, "nao", token) == nil)
        }
    }

    @Test(arguments: ["", "a b", "nao\n", "é", String(repeating: "x", count: 65)])
    func noName(_ name: String) throws {
        try withTemporaryDirectory { directory in
            let error = #expect(throws: MeshError.self) { try UserStore(file: directory + "/users").set(name) }
            #expect(error?.code == .usage)
        }
    }

    @Test func shortTokensAreRefused() throws {
        try withTemporaryDirectory { directory in
            let store = try UserStore(file: directory + "/users")
            #expect(throws: MeshError.self) { try store.set("nao", token: "nao") }
            #expect(try store.names().isEmpty)
        }
    }
}
