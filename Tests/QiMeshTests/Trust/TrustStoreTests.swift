import Foundation
import Synchronization
import Testing

@testable import QiMesh

@Suite struct TrustStoreTests {
    private let start = Date(timeIntervalSince1970: 1_800_000_000)

    /// A clock that stands until it is moved.
    private final class Clock: Sendable {
        private let time: Mutex<Date>
        init(_ date: Date) { time = Mutex(date) }
        var now: Date { time.withLock { $0 } }
        func advance(_ seconds: TimeInterval) { time.withLock { $0 += seconds } }
    }

    @Test func remembersAcrossRestarts() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let first = try TrustStore(file: path, now: { [start] in start })
            #expect(try first.check(jid: "a@x", key: key(1)) == .new)
            #expect(!FileManager.default.fileExists(atPath: path))
            try first.pin(jid: "a@x", key: key(1))
            #expect(try first.check(jid: "a@x", key: key(2)) == .changed(old: key(1)))
            let second = try TrustStore(file: path)
            #expect(try second.check(jid: "a@x", key: key(1)) == .pinned)
            #expect(try second.entries() == [TrustEntry(jid: "a@x", key: key(1), firstSeen: start, lastSeen: start)])
            #expect(try first.refused(jid: "a@x") == RefusedKey(jid: "a@x", key: key(2), date: start))
            // What a peer showed is in no file.
            #expect(try second.refused(jid: "a@x") == nil)
        }
    }

    @Test func remembersRevocationsAcrossRestarts() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let first = try TrustStore(file: path, now: { [start] in start })
            try first.pin(jid: "a@x", key: key(1))
            #expect(try first.revoke(jid: "a@x"))
            #expect(try !first.revoke(jid: "b@x"))
            let second = try TrustStore(file: path)
            #expect(try second.check(jid: "a@x", key: key(1)) == .revoked)
            #expect(try second.check(jid: "c@x", key: key(1)) == .keyRevoked(jid: "a@x"))
            #expect(try second.isRevoked(jid: "b@x"))
            #expect(try second.refused(jid: "a@x") == nil)
            try second.readmit(jid: "a@x")
            #expect(try first.check(jid: "a@x", key: key(2)) == .new)
            try second.readmit(jid: "b@x")
            #expect(try String(contentsOfFile: path, encoding: .utf8).contains("revoked") == false)
            try write(#"{"version":1,"devices":[{"jid":"a@x","key":"\#(key(1))","first-seen":"2027-01-15T08:00:00Z","last-seen":"2027-01-15T08:00:00Z"}],"refused":[],"revoked":[{"jid":"a@x","date":"2027-01-15T08:00:00Z"}]}"#, to: path)
            #expect(throws: MeshError.self) { _ = try second.entries() }
        }
    }

    @Test func fileIsPrivateAndReadable() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let store = try TrustStore(file: path, now: { [start] in start })
            try store.pin(jid: "a@x", key: key(1))
            try store.admit("a@x", of: "own@x", name: "lamp", by: .approved)
            #expect(try permissions(path) == 0o600)
            #expect(try names(in: directory) == ["trust.json", "trust.json.lock"])
            let expected = """
                {
                  "contacts" : [
                    {
                      "account" : "own@x",
                      "admitted" : "approved",
                      "jid" : "a@x",
                      "name" : "lamp",
                      "since" : "2027-01-15T08:00:00Z"
                    }
                  ],
                  "devices" : [
                    {
                      "first-seen" : "2027-01-15T08:00:00Z",
                      "jid" : "a@x",
                      "key" : "\(key(1))",
                      "last-seen" : "2027-01-15T08:00:00Z"
                    }
                  ],
                  "version" : 2
                }

                """
            #expect(try String(contentsOfFile: path, encoding: .utf8) == expected)
        }
    }

    @Test func refusedKeyCanBeAccepted() throws {
        try withTemporaryDirectory { directory in
            let store = try TrustStore(file: directory + "/trust.json")
            try store.pin(jid: "a@x", key: key(1))
            _ = try store.check(jid: "a@x", key: key(2))
            let shown = try #require(try store.refused(jid: "a@x"))
            try store.replace(jid: "a@x", key: shown.key)
            #expect(try store.check(jid: "a@x", key: key(2)) == .pinned)
            #expect(try store.refused(jid: "a@x") == nil)
        }
    }

    /// The node and `qimesh trust` are two processes with one file.
    @Test func twoStoresSeeEachOthersChanges() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let node = try TrustStore(file: path)
            let command = try TrustStore(file: path)
            try node.pin(jid: "a@x", key: key(1))
            try command.pin(jid: "b@x", key: key(2))
            #expect(try node.check(jid: "b@x", key: key(2)) == .pinned)
            try command.replace(jid: "a@x", key: key(3))
            #expect(try node.check(jid: "a@x", key: key(3)) == .pinned)
            #expect(try command.remove(jid: "a@x"))
            #expect(try node.check(jid: "a@x", key: key(1)) == .new)
            #expect(try node.entries().map(\.jid) == ["b@x"])
        }
    }

    @Test func concurrentPinsAreAllKept() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in UInt8(0)..<24 {
                    group.addTask { try TrustStore(file: path).pin(jid: "\(index)@x", key: key(index)) }
                }
                try await group.waitForAll()
            }
            #expect(try TrustStore(file: path).entries().count == 24)
        }
    }

    @Test func ofTwoFirstContactsOneWins() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let store = try TrustStore(file: path)
            let winners = await withTaskGroup(of: Bool.self) { group in
                for index in UInt8(0)..<8 {
                    group.addTask {
                        do {
                            try store.pin(jid: "a@x", key: key(index))
                            return true
                        } catch {
                            return false
                        }
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(winners == 1)
        }
    }

    @Test func writesLastSeenOnceAnHour() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let clock = Clock(start)
            let store = try TrustStore(file: path, now: { clock.now })
            try store.pin(jid: "a@x", key: key(1))
            let written = FileStatus(path: path)?.version
            clock.advance(3_599)
            try store.pin(jid: "a@x", key: key(1))
            #expect(FileStatus(path: path)?.version == written)
            clock.advance(1)
            try store.pin(jid: "a@x", key: key(1))
            #expect(FileStatus(path: path)?.version != written)
            #expect(try store.entry(jid: "a@x")?.lastSeen == start + 3_600)
        }
    }

    /// Keys of strangers and of contacts, new ones and the same again: none reaches the disk, and strangers are not remembered.
    @Test func aKeyThatIsShownCausesNoWrite() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let store = try TrustStore(file: path)
            try store.pin(jid: "a@x", key: key(1))
            try store.admit("b@x", of: "own@x", name: nil, by: .invited)
            let (content, written) = (try Data(contentsOf: URL(fileURLWithPath: path)), FileStatus(path: path)?.version)
            for seed in UInt8(2)..<50 {
                _ = try store.check(jid: "a@x", key: key(seed))
                _ = try store.check(jid: "stranger\(seed)@x", key: key(seed))
                #expect(try store.check(jid: "stranger\(seed)@x", key: key(1)) == .keyBelongsTo(jid: "a@x"))
                #expect(try store.refused(jid: "stranger\(seed)@x") == nil)
            }
            #expect(try store.check(jid: "b@x", key: key(1)) == .keyBelongsTo(jid: "a@x"))
            #expect(FileStatus(path: path)?.version == written)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == content)
            #expect(try store.refused(jid: "a@x")?.key == key(49))
            #expect(try store.refused(jid: "b@x")?.key == key(1))
        }
    }

    @Test func contactsSurviveARestartAndAreReadByOtherPrograms() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let (node, program) = (try TrustStore(file: path, now: { [start] in start }), try TrustStore(file: path))
            try node.admit("a@x", of: "own@x", name: "lamp", by: .paired)
            let expected = Contact(account: "own@x", jid: "a@x", name: "lamp", admission: .paired, since: start)
            #expect(try program.contact("a@x", of: "own@x") == expected)
            #expect(try program.contact("a@x", of: "own@y") == nil)
            #expect(try TrustStore(file: path).contact(named: "lamp", of: "own@x") == expected)
            let (first, second) = (try program.removeContact("a@x", of: "own@x"), try node.removeContact("a@x", of: "own@x"))
            #expect(first && !second)
            #expect(try node.contacts(of: "own@x").isEmpty)
        }
    }

    /// A version without contacts took them from the server. Its keys are taken over, and no contacts.
    @Test func keysOfAnEarlierVersionStayPinnedAndMakeNoContacts() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let refused = #"{"jid": "a@x", "key": "\#(key(9))", "seen": "2027-01-15T08:00:00Z"}"#
            try write(#"{"version": 1, "devices": [\#(Self.device("a@x", 1))], "refused": [\#(refused)]}"#, to: path)
            let store = try TrustStore(file: path)
            #expect(store.isWithoutContacts)
            #expect(try store.contacts(of: "own@x").isEmpty)
            #expect(try store.check(jid: "a@x", key: key(1)) == .pinned)
            #expect(try store.refused(jid: "a@x") == nil)
            try store.admit("a@x", of: "own@x", name: "lamp", by: .approved)
            #expect(!store.isWithoutContacts)
            let again = try TrustStore(file: path)
            #expect(try !again.isWithoutContacts && again.check(jid: "a@x", key: key(1)) == .pinned)
            #expect(try again.contacts(of: "own@x").map(\.name) == ["lamp"])
        }
    }

    @Test func onlyAFirstKeyIsNew() throws {
        try withTemporaryDirectory { directory in
            let store = try TrustStore(file: directory + "/trust.json")
            let isNew = [try store.pin(jid: "a@x", key: key(1)), try store.pin(jid: "a@x", key: key(1))]
            #expect(isNew == [true, false])
        }
    }

    static let damaged: [(content: String, reason: String)] = [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "wrong kind of value at the top"),
        (#"{"version": 1, "refused": []}"#, #"no "devices" at the top"#),
        (#"{"version": 3, "devices": [], "contacts": []}"#, "has version 3"),
        (#"{"version": 2, "devices": []}"#, "contacts go with version 2"),
        (#"{"version": 1, "devices": [], "contacts": []}"#, "contacts go with version 2"),
        (
            #"{"version": 2, "devices": [], "contacts": [\#(contact("a@x", "lamp")), \#(contact("b@x", "lamp"))]}"#,
            "a@x is called \"lamp\" here already"
        ),
        (#"{"version": 2, "devices": [], "contacts": [\#(contact("a@x", "b@x"))]}"#, "\"b@x\" cannot be a name"),
        (
            #"{"version": 2, "devices": [], "contacts": [\#(contact("a@x", "lamp"))], "revoked": [{"jid": "a@x", "date": "2027-01-15T08:00:00Z"}]}"#,
            "a@x is revoked, and pinned or a contact too"
        ),
        (
            #"{"version": 1, "devices": [{"jid": "a", "key": "SHA256:x", "first-seen": "2027-01-15T08:00:00Z", "last-seen": "2027-01-15T08:00:00Z"}], "refused": []}"#,
            #""SHA256:x" is not a fingerprint"#
        ),
        (
            #"{"version": 1, "devices": [{"jid": "a", "key": "SHA256:x", "first-seen": "yesterday", "last-seen": "now"}], "refused": []}"#,
            "wrong value at devices[0]"
        ),
        (
            #"{"version": 1, "devices": [\#(device("a", 1)), \#(device("a", 2))], "refused": []}"#,
            "a or its key \(key(2)) is pinned twice"
        ),
        (
            #"{"version": 1, "devices": [\#(device("a", 1)), \#(device("b", 1))], "refused": []}"#,
            "b or its key \(key(1)) is pinned twice"
        ),
    ]

    private static func contact(_ jid: String, _ name: String) -> String {
        #"{"account": "own@x", "jid": "\#(jid)", "name": "\#(name)", "admitted": "paired", "since": "2027-01-15T08:00:00Z"}"#
    }

    private static func device(_ jid: String, _ seed: UInt8) -> String {
        #"{"jid": "\#(jid)", "key": "\#(key(seed))", "first-seen": "2027-01-15T08:00:00Z", "last-seen": "2027-01-15T08:00:00Z"}"#
    }

    @Test(arguments: damaged)
    func neverEmptiesADamagedFile(content: String, reason: String) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            try write(content, to: path)
            let error = #expect(throws: MeshError.self) { _ = try TrustStore(file: path) }
            #expect(error?.code == .trust)
            #expect(error?.hint != nil)
            #expect(error?.message.contains(reason) == true, "\(error?.message ?? "no error")")
            #expect(try String(contentsOfFile: path, encoding: .utf8) == content)
        }
    }

    @Test func letsNobodyInWhenTheFileBreaksMeanwhile() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            let store = try TrustStore(file: path)
            try store.pin(jid: "a@x", key: key(1))
            try write("broken", to: path)
            #expect(throws: MeshError.self) { try store.check(jid: "a@x", key: key(1)) }
            #expect(throws: MeshError.self) { try store.pin(jid: "b@x", key: key(2)) }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "broken")
            try FileManager.default.removeItem(atPath: path)
            let error = #expect(throws: MeshError.self) { try store.check(jid: "b@x", key: key(2)) }
            #expect(error?.message.contains("removed while in use") == true)
        }
    }

    @Test func refusesAFileThatOthersCanChange() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/trust.json"
            try TrustStore(file: path).pin(jid: "a@x", key: key(1))
            try setPermissions(0o644, path)
            #expect(try TrustStore(file: path).check(jid: "a@x", key: key(1)) == .pinned)
            try setPermissions(0o664, path)
            let error = #expect(throws: MeshError.self) { _ = try TrustStore(file: path) }
            #expect(error?.message.contains("can be changed by other users (mode 0664)") == true)
        }
    }

    @Test func refusalsNameTheCommand() {
        let changed = TrustVerdict.changed(old: key(1)).refusal(jid: "a@x", key: key(2))
        #expect(changed?.hint?.contains("qimesh trust a@x") == true)
        #expect(changed?.message.contains(key(1).description) == true)
        #expect(changed?.message.contains(key(2).description) == true)
        let moved = TrustVerdict.keyBelongsTo(jid: "b@x").refusal(jid: "a@x", key: key(2))
        #expect(moved?.hint?.contains("qimesh trust b@x --forget") == true)
        #expect(TrustVerdict.pinned.refusal(jid: "a@x", key: key(1)) == nil)
        #expect(TrustVerdict.new.refusal(jid: "a@x", key: key(1)) == nil)
    }
}
