import Foundation
import Testing

@testable import QiMesh

/// A word of the owner that came to nothing, for the server did not take it.
@Suite struct TakenBackTests {
    private let date = Date(timeIntervalSince1970: 1_000)
    private let own = "own@x"

    private func table(_ body: (inout TrustTable) throws -> Void) rethrows -> TrustTable {
        var table = TrustTable()
        try body(&table)
        return table
    }

    @Test func aRevokedDeviceIsRevokedAgainWithItsKey() throws {
        let before = try table { table in
            try table.pin(jid: "a@x", key: key(1), at: date)
            table.revoke(jid: "a@x", at: date)
        }
        var now = before
        let word = try now.word("a@x", of: own, name: "lamp", by: .invited, at: date + 60)
        // It came by at once, with a key of its own.
        try now.pin(jid: "a@x", key: key(2), at: date + 61)
        let isBack = now.takeBack(word)
        #expect(isBack && now == before)
        #expect(now.verdict(jid: "a@x", key: key(2)) == .revoked && now.verdict(jid: "b@x", key: key(1)) == .keyRevoked(jid: "a@x"))
    }

    @Test func aContactIsWhatItWas() throws {
        let before = try table { try $0.admit("a@x", of: own, name: "lamp", by: .accept, at: date) }
        var now = before
        let word = try now.word("a@x", of: own, name: "light", by: .approved, at: date + 60)
        #expect(word.isNews)
        let isBack = now.takeBack(word)
        #expect(isBack && now == before)
    }

    @Test func aNewContactIsNoneAndItsKeyStays() throws {
        var now = TrustTable()
        let word = try now.word("a@x", of: own, name: nil, by: .invited, at: date)
        try now.pin(jid: "a@x", key: key(1), at: date)
        let isBack = now.takeBack(word)
        #expect(isBack && !now.contacts.isKnown("a@x") && now.entry(jid: "a@x") != nil)
    }

    @Test func whatWasSaidMeanwhileStays() throws {
        var now = table { $0.revoke(jid: "a@x", at: date) }
        let word = try now.word("a@x", of: own, name: nil, by: .invited, at: date)
        try now.admit("a@x", of: own, name: "lamp", by: .paired, at: date + 1)
        let said = now
        let isBack = now.takeBack(word)
        #expect(!isBack && now == said)
        // At another account.
        var other = table { $0.revoke(jid: "a@x", at: date) }
        let first = try other.word("a@x", of: own, name: nil, by: .invited, at: date)
        try other.admit("a@x", of: "other@x", name: nil, by: .invited, at: date)
        _ = other.takeBack(first)
        #expect(other.contacts.contact("a@x", of: own) == nil && other.contacts.isKnown("a@x") && other.revocations.isEmpty)
    }

    @Test func aNameThatAnotherGotMeanwhileIsGone() throws {
        var now = try table { try $0.admit("a@x", of: own, name: "lamp", by: .approved, at: date) }
        let word = try now.word("a@x", of: own, name: "light", by: .approved, at: date)
        try now.admit("b@x", of: own, name: "lamp", by: .approved, at: date)
        _ = now.takeBack(word)
        #expect(now.contacts.contact("a@x", of: own)?.name == nil && now.contacts.named("lamp", of: own)?.jid == "b@x")
    }

    /// A token lets in what was revoked; whose the key is counts all the same.
    @Test func aTokenOfARevokedAddressIsJudgedByItsKey() throws {
        let now = try table { table in
            try table.pin(jid: "a@x", key: key(1), at: date)
            try table.pin(jid: "b@x", key: key(2), at: date)
            table.revoke(jid: "a@x", at: date)
        }
        #expect(now.verdict(jid: "a@x", key: key(2)) == .revoked)
        #expect(now.verdict(jid: "a@x", key: key(2), isReadmitted: true) == .keyBelongsTo(jid: "b@x"))
        #expect(now.verdict(jid: "a@x", key: key(1), isReadmitted: true) == .new)
        let hint = TrustVerdict.keyRevoked(jid: "a@x").refusal(jid: "c@x", key: key(1))?.hint
        #expect(hint?.contains("qimesh invite a@x") == true)
    }
}
