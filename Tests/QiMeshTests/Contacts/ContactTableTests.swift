import Foundation
import Testing

@testable import QiMesh

@Suite struct ContactTableTests {
    private let date = Date(timeIntervalSince1970: 1_000)
    private let own = "own@x"

    @Test func aNewContactIsCalledByTheFirstPartOfItsAddressIfThatIsFree() throws {
        var table = ContactTable()
        #expect(try table.admit("pepper@x", of: own, name: nil, by: .invited, at: date).name == "pepper")
        #expect(try table.admit("pepper@evil", of: own, name: nil, by: .approved, at: date).name == nil)
        #expect(try table.admit("a:b@x", of: own, name: nil, by: .paired, at: date).name == nil)
        // The account was made by others, who would choose the name.
        #expect(try table.admit("nao@x", of: own, name: nil, by: .accept, at: date).name == nil)
        #expect(table.named("pepper", of: own)?.jid == "pepper@x")
        #expect(table.named("nao", of: own) == nil)
    }

    /// Calls name no account: a name that two devices have is refused by all of them.
    @Test func noNameIsProposedThatADeviceOfAnotherAccountHas() throws {
        var table = ContactTable()
        try table.admit("pepper@a", of: own, name: nil, by: .invited, at: date)
        #expect(try table.admit("pepper@b", of: "other@x", name: nil, by: .approved, at: date).name == nil)
        // The same device at both accounts is one device.
        #expect(try table.admit("pepper@a", of: "other@x", name: nil, by: .approved, at: date).name == "pepper")
        #expect(table.holder(of: "pepper", otherThan: "pepper@b") == "pepper@a" && table.holder(of: "pepper", otherThan: "pepper@a") == nil)
    }

    @Test func aNameMeansOneDeviceOfAnAccount() throws {
        var table = ContactTable()
        try table.admit("a@x", of: own, name: "lamp", by: .invited, at: date)
        let before = table
        let error = #expect(throws: MeshError.self) { try table.admit("b@x", of: own, name: "lamp", by: .paired, at: date) }
        #expect(error?.message == "a@x is called \"lamp\" here already")
        #expect(table == before)
        try table.admit("b@x", of: "other@x", name: "lamp", by: .paired, at: date)
        #expect(table.named("lamp", of: own)?.jid == "a@x" && table.named("lamp", of: "other@x")?.jid == "b@x")
        try table.admit("a@x", of: own, name: "light", by: .approved, at: date)
        try table.admit("c@x", of: own, name: "lamp", by: .invited, at: date)
        #expect(table.named("light", of: own)?.jid == "a@x" && table.named("lamp", of: own)?.jid == "c@x")
        table.remove("a@x", of: own)
        #expect(table.named("light", of: own) == nil)
    }

    static let notNames = ["", "nao@x", "a/b", "tcp:x", "-x", " x", "x ", "a\nb", "a\u{202E}b", "a\u{0}b", String(repeating: "x", count: 65)]

    @Test(arguments: notNames)
    func whatLooksLikeSomethingElseIsNoName(_ name: String) {
        var table = ContactTable()
        let error = #expect(throws: MeshError.self) { try table.admit("a@x", of: own, name: name, by: .invited, at: date) }
        #expect(error?.code == .usage && error?.message.contains("cannot be a name") == true)
        #expect(table.sorted.isEmpty)
    }

    @Test(arguments: ["pepper", "büro 2", "机器人", "o'brien", "a.b-c_d"])
    func namesMayBeOfAnyScript(_ name: String) { #expect(ContactName.refusal(of: name) == nil) }

    /// Each row: how a contact was let in, how again, and what counts.
    static let admissions: [(Contact.Admission, Contact.Admission, Contact.Admission)] = [
        (.accept, .approved, .approved), (.accept, .accept, .accept), (.approved, .accept, .approved), (.paired, .approved, .paired),
        (.invited, .paired, .paired), (.invited, .approved, .invited),
    ]

    @Test(arguments: admissions)
    func theStrongerWordCounts(_ first: Contact.Admission, _ second: Contact.Admission, _ counts: Contact.Admission) throws {
        var table = ContactTable()
        try table.admit("a@x", of: own, name: "lamp", by: first, at: date)
        let contact = try table.admit("a@x", of: own, name: nil, by: second, at: date + 60)
        #expect(contact.admission == counts && contact.name == "lamp")
        #expect(contact.since == (counts == first ? date : date + 60))
        #expect(table.sorted == [contact])
    }

    @Test func acceptLeavesRoomForTheOwnersWord() throws {
        var table = ContactTable()
        for index in 0..<ContactTable.acceptLimit { try table.admit("\(index)@x", of: own, name: nil, by: .accept, at: date) }
        let error = #expect(throws: MeshError.self) { try table.admit("more@x", of: own, name: nil, by: .accept, at: date) }
        #expect(error?.code == .tooLarge)
        try table.admit("more@x", of: own, name: nil, by: .approved, at: date)
        for index in table.sorted.count..<ContactTable.limit {
            try table.admit("\(index)@y", of: own, name: "n\(index)", by: .invited, at: date)
        }
        #expect(throws: MeshError.self) { try table.admit("last@x", of: own, name: nil, by: .paired, at: date) }
        #expect(table.sorted.count == ContactTable.limit)
    }

    @Test func aRemovedDeviceIsOutAtEveryAccount() throws {
        var table = ContactTable()
        for account in [own, "other@x"] { try table.admit("a@x", of: account, name: "lamp", by: .paired, at: date) }
        let removed = table.remove("a@x", of: own)
        #expect(removed && table.isKnown("a@x"))
        table.remove("a@x")
        #expect(!table.isKnown("a@x") && table.named("lamp", of: "other@x") == nil)
    }
}
