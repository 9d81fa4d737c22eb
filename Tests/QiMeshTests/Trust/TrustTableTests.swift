import Foundation
import Testing

@testable import QiMesh

func key(_ seed: UInt8) -> KeyFingerprint { KeyFingerprint(subjectPublicKeyInfo: [seed]) }

@Suite struct TrustTableTests {
    /// One thing that happens to a table, and what must come of it.
    enum Step: CustomStringConvertible {
        case check(String, UInt8, TrustVerdict)
        case pin(String, UInt8)
        case pinFails(String, UInt8)
        case replace(String, UInt8)
        case replaceFails(String, UInt8)
        case remove(String, Bool)
        case revoke(String, Bool)
        case readmit(String)

        var description: String {
            switch self {
            case .check(let jid, let seed, let verdict): "check \(jid) \(seed) = \(verdict)"
            case .pin(let jid, let seed): "pin \(jid) \(seed)"
            case .pinFails(let jid, let seed): "pin \(jid) \(seed) fails"
            case .replace(let jid, let seed): "replace \(jid) \(seed)"
            case .replaceFails(let jid, let seed): "replace \(jid) \(seed) fails"
            case .remove(let jid, let known): "remove \(jid) = \(known)"
            case .revoke(let jid, let pinned): "revoke \(jid) = \(pinned)"
            case .readmit(let jid): "readmit \(jid)"
            }
        }
    }

    static let conversations: [(String, [Step])] = [
        ("first contact", [.check("a", 1, .new), .pin("a", 1), .check("a", 1, .pinned)]),
        ("checking pins nothing", [.check("a", 1, .new), .check("a", 2, .new)]),
        ("a changed key", [.pin("a", 1), .check("a", 2, .changed(old: key(1))), .pinFails("a", 2), .check("a", 1, .pinned)]),
        ("a key of another", [.pin("a", 1), .check("b", 1, .keyBelongsTo(jid: "a")), .pinFails("b", 1), .check("b", 2, .new)]),
        (
            "a changed key that is another's counts as changed",
            [.pin("a", 1), .pin("b", 2), .check("a", 2, .changed(old: key(1))), .pinFails("a", 2)]
        ),
        (
            "replacing frees the old key",
            [.pin("a", 1), .replace("a", 2), .check("a", 2, .pinned), .check("b", 1, .new), .pin("b", 1)]
        ),
        ("replacing an unknown pins", [.replace("a", 1), .check("a", 1, .pinned)]),
        (
            "replacing does not steal",
            [.pin("a", 1), .pin("b", 2), .replaceFails("b", 1), .check("b", 2, .pinned), .check("a", 1, .pinned)]
        ),
        ("replacing by the same", [.pin("a", 1), .replace("a", 1), .check("a", 1, .pinned)]),
        (
            "removing forgets both ways",
            [.pin("a", 1), .remove("a", true), .remove("a", false), .check("a", 2, .new), .check("b", 1, .new)]
        ),
        ("a device that moved", [.pin("a", 1), .remove("a", true), .pin("b", 1), .check("b", 1, .pinned)]),
        (
            "a revoked device stays out with any key",
            [.pin("a", 1), .revoke("a", true), .check("a", 1, .revoked), .check("a", 2, .revoked), .check("b", 2, .new)]
        ),
        (
            "a revoked key stays out under another address",
            [
                .pin("a", 1), .revoke("a", true), .check("b", 1, .keyRevoked(jid: "a")), .pinFails("b", 1), .replaceFails("b", 1),
                .revoke("a", false), .check("b", 1, .keyRevoked(jid: "a")),
            ]
        ),
        (
            "a known address that shows a revoked key counts as changed, and cannot take it",
            [.pin("a", 1), .pin("b", 2), .revoke("a", true), .check("b", 1, .changed(old: key(2))), .replaceFails("b", 1)]
        ),
        (
            "a key is free when its revocation is over",
            [.pin("a", 1), .revoke("a", true), .readmit("a"), .check("b", 1, .new), .pin("b", 1), .check("a", 2, .new)]
        ),
        (
            "a key that was pinned anew after a revocation is the one that is revoked",
            [
                .pin("a", 1), .revoke("a", true), .readmit("a"), .pin("a", 2), .revoke("a", true), .check("b", 2, .keyRevoked(jid: "a")),
                .check("b", 1, .new),
            ]
        ),
        (
            "forgetting a revoked device frees its key",
            [.pin("a", 1), .revoke("a", true), .remove("a", true), .check("b", 1, .new)]
        ),
        ("revoking again changes nothing", [.revoke("a", false), .revoke("a", false), .check("a", 1, .revoked)]),
        ("a readmitted device begins anew", [.pin("a", 1), .revoke("a", true), .readmit("a"), .check("a", 2, .new), .pin("a", 2)]),
        ("readmitting others does nothing", [.pin("a", 1), .readmit("a"), .check("a", 1, .pinned)]),
        ("accepting a key readmits", [.revoke("a", false), .replace("a", 2), .check("a", 2, .pinned)]),
        ("forgetting a key readmits", [.revoke("a", false), .remove("a", true), .check("a", 2, .new)]),
    ]

    @Test(arguments: conversations)
    func transitions(_ name: String, _ steps: [Step]) throws {
        var table = TrustTable()
        let date = Date(timeIntervalSince1970: 1_000)
        for step in steps {
            let before = table
            switch step {
            case .check(let jid, let seed, let verdict):
                #expect(table.verdict(jid: jid, key: key(seed)) == verdict, "\(name): \(step)")
            case .pin(let jid, let seed):
                try table.pin(jid: jid, key: key(seed), at: date)
            case .pinFails(let jid, let seed):
                let error = #expect(throws: MeshError.self, "\(name): \(step)") {
                    try table.pin(jid: jid, key: key(seed), at: date)
                }
                #expect(error?.code == .trust)
                #expect(error?.hint?.contains("qimesh trust") == true)
                #expect(table == before)
            case .replace(let jid, let seed):
                try table.replace(jid: jid, key: key(seed), at: date)
            case .replaceFails(let jid, let seed):
                #expect(throws: MeshError.self, "\(name): \(step)") { try table.replace(jid: jid, key: key(seed), at: date) }
                #expect(table == before)
            case .remove(let jid, let known):
                #expect(table.remove(jid: jid) == known, "\(name): \(step)")
            case .revoke(let jid, let pinned):
                #expect(table.revoke(jid: jid, at: date) == pinned, "\(name): \(step)")
                #expect(throws: MeshError.self) { try table.pin(jid: jid, key: key(1), at: date) }
            case .readmit(let jid): table.readmit(jid: jid)
            }
        }
    }

    @Test func keepsFirstAndLastSeen() throws {
        var table = TrustTable()
        try table.pin(jid: "a", key: key(1), at: Date(timeIntervalSince1970: 100))
        try table.pin(jid: "a", key: key(1), at: Date(timeIntervalSince1970: 300))
        // A clock that was set back does not take back what was seen.
        try table.pin(jid: "a", key: key(1), at: Date(timeIntervalSince1970: 200))
        #expect(table.entry(jid: "a")?.firstSeen == Date(timeIntervalSince1970: 100))
        #expect(table.entry(jid: "a")?.lastSeen == Date(timeIntervalSince1970: 300))
    }

    @Test func boundsPins() throws {
        var table = TrustTable()
        for index in 0..<TrustTable.entryLimit {
            let fingerprint = KeyFingerprint(subjectPublicKeyInfo: withUnsafeBytes(of: index) { Array($0) })
            try table.pin(jid: "\(index)", key: fingerprint, at: .distantPast)
        }
        let error = #expect(throws: MeshError.self) { try table.pin(jid: "one more", key: key(1), at: .distantPast) }
        #expect(error?.message.contains("4096") == true)
        #expect(table.sortedEntries.count == TrustTable.entryLimit)
    }

    @Test func boundsRevocationsByDroppingTheOldest() {
        var table = TrustTable()
        for index in 0...TrustTable.revocationLimit {
            _ = table.revoke(jid: "\(index)", at: Date(timeIntervalSince1970: TimeInterval(index)))
        }
        #expect(table.revocations.count == TrustTable.revocationLimit)
        #expect(table.verdict(jid: "0", key: key(1)) == .new)
        #expect(table.verdict(jid: "1", key: key(1)) == .revoked)
    }

    @Test func aRevokedDeviceIsNoContactOfAnyAccount() throws {
        var table = TrustTable()
        let date = Date(timeIntervalSince1970: 1_000)
        for account in ["own@x", "own@y"] { try table.admit("a@x", of: account, name: nil, by: .approved, at: date) }
        table.revoke(jid: "a@x", at: date)
        #expect(table.contacts.sorted.isEmpty)
        #expect(throws: MeshError.self) { try table.admit("a@x", of: "own@x", name: nil, by: .accept, at: date) }
        #expect(table.contacts.sorted.isEmpty && table.revocations["a@x"] != nil)
        try table.admit("a@x", of: "own@x", name: nil, by: .invited, at: date)
        #expect(table.contacts.sorted.count == 1 && table.revocations.isEmpty)
    }
}
