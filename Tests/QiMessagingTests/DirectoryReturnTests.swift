import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// A directory's table after a restart, and services that come back to it.
struct DirectoryReturnTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private var end: NIODeadline { start + DirectoryTable.reservationTime }

    private func info(_ name: String, wish: UInt32 = 0, machine: String = "m1", session: String = "s1") -> ServiceInfo {
        ServiceInfo(name: name, serviceID: wish, machineID: machine, processID: 1, endpoints: [], sessionID: session)
    }

    /// A table that knows "a" as #5 and "b" as #6, both of machine m1 and session s1.
    private var restarted: DirectoryTable {
        var journal = DirectoryJournal()
        for (id, name) in [(5, "a"), (6, "b")] as [(UInt32, String)] {
            journal.apply(.registered(.init(id: id, name: name, machineID: "m1", sessionID: "s1")))
        }
        journal.apply(.next(10))
        return DirectoryTable(journal: journal, at: start)
    }

    private func code(_ body: () throws -> Void) -> QiError.Code? {
        do { try body() } catch { return (error as? QiError)?.code }
        return nil
    }

    @Test func whatWasBeforeIsNotThere() {
        let table = restarted
        #expect(table.ready.isEmpty && table.find("a") == nil)
        #expect(table.isAwaited("a", at: start) && !table.isAwaited("c", at: start))
        #expect(!table.isAwaited("a", at: end))
    }

    @Test(arguments: [("m1", "s1"), ("m1", "another"), ("another", "s1")])
    func itsOwnerTakesTheOldID(_ identity: (machine: String, session: String)) throws {
        var table = restarted
        let id = try table.register(
            info("a", machine: identity.machine, session: identity.session), owner: .connection(1), at: start + .seconds(29))
        #expect(id == 5)
        // Still awaited, for it is not ready; then it is there.
        #expect(table.isAwaited("a", at: start))
        _ = try table.ready(id, owner: .connection(1))
        #expect(!table.isAwaited("a", at: start) && table.find("a")?.info.serviceID == 5)
    }

    @Test func anotherMachineHasToWait() throws {
        var table = restarted
        let early = code { _ = try table.register(info("a", machine: "m2", session: "s2"), owner: .connection(1), at: start) }
        #expect(early == .conflict)
        let late = try table.register(info("a", machine: "m2", session: "s2"), owner: .connection(1), at: end)
        #expect(late == 10)
    }

    private func restarted(of holder: DirectoryTable.Holder?) -> DirectoryTable {
        var journal = DirectoryJournal()
        journal.apply(.registered(.init(id: 5, name: "a", machineID: "m1", sessionID: "s1", holder: holder)))
        return DirectoryTable(journal: journal, at: start)
    }

    private static let nao = DirectoryTable.Holder(principal: "user:nao", zone: .lan)

    /// The ids that it sends are known to everybody.
    @Test(arguments: [
        ("user:eve", Zone.lan), ("user:nao", .internet), ("process", .internal), ("host:10.0.0.1", .lan), ("host:127.0.0.1", .internal),
    ])
    func aPeerThatSendsTheOwnersIDsIsNotTheOwner(_ other: (principal: String, zone: Zone)) throws {
        var table = restarted(of: Self.nao)
        let holder = DirectoryTable.Holder(principal: other.principal, zone: other.zone)
        let early = code { _ = try table.register(info("a"), owner: .connection(1), holder: holder, at: start) }
        #expect(early == .conflict)
        let late = try table.register(info("a", wish: 5), owner: .connection(1), holder: holder, at: end)
        #expect(late != 5)
    }

    @Test func aProvenPrincipalReturnsFromAnyMachine() throws {
        var table = restarted(of: Self.nao)
        let id = try table.register(info("a", machine: "m2", session: "s2"), owner: .connection(1), holder: Self.nao, at: start)
        #expect(id == 5)
    }

    @Test func aJournalThatDoesNotSayWhoseANameIsSpeaksOfTheInside() throws {
        var table = restarted(of: nil)
        let outside = code { _ = try table.register(info("a"), owner: .connection(1), holder: Self.nao, at: start) }
        #expect(outside == .conflict)
        let inside = try table.register(info("a"), owner: .connection(2), holder: .process, at: start)
        #expect(inside == 5)
    }

    @Test func anonymousOwnersAreNotRecognised() throws {
        var journal = DirectoryJournal()
        journal.apply(.registered(.init(id: 5, name: "a", machineID: "", sessionID: "")))
        var table = DirectoryTable(journal: journal, at: start)
        let result = code { _ = try table.register(info("a", machine: "", session: ""), owner: .process, at: start) }
        #expect(result == .conflict)
    }

    @Test func idsContinue() throws {
        var table = restarted
        let new = try table.register(info("new"), owner: .process, at: start)
        #expect(new == 10)
        let gone = table.expire()
        #expect(gone == [5, 6])
        let next = try table.register(info("b", machine: "m2", session: "s2"), owner: .process, at: end)
        #expect(next == 11)
    }

    @Test func aWishIsGrantedWhenTheIDIsTheNamesOwnOrNobodys() throws {
        var table = restarted
        // Never given out.
        let free = try table.register(info("c", wish: 40, session: "s9"), owner: .process, at: start)
        #expect(free == 40)
        // Given out, to another name.
        let taken = try table.register(info("d", wish: 7, session: "s9"), owner: .process, at: start)
        #expect(taken == 10)
        let reserved = try table.register(info("e", wish: 6, session: "s9"), owner: .process, at: start)
        #expect(reserved == 11)
        let used = try table.register(info("f", wish: 40, session: "s9"), owner: .process, at: start)
        #expect(used == 12)
        let beyond = try table.register(info("g", wish: ServiceIDs.end, session: "s9"), owner: .process, at: start)
        #expect(beyond == 13)
    }

    @Test func aSessionThatLostItsWayComesBackToItsID() throws {
        var table = DirectoryTable()
        let id = try table.register(info("a"), owner: .connection(1))
        _ = table.removeAll(of: .connection(1))
        // libqi wishes for nothing, and gets a new one.
        let libqi = try table.register(info("a"), owner: .connection(2))
        #expect(libqi == id + 1)
        _ = table.removeAll(of: .connection(2))
        let stranger = try table.register(info("a", wish: libqi, machine: "m2", session: "s2"), owner: .connection(3))
        #expect(stranger == id + 2)
        _ = table.removeAll(of: .connection(3))
        let back = try table.register(info("a", wish: stranger, machine: "m2", session: "s2"), owner: .connection(4))
        #expect(back == stranger)
    }

    @Test func lateReturnersStillHaveTheirWish() throws {
        var table = restarted
        _ = table.expire()
        let id = try table.register(info("b", wish: 6), owner: .process, at: end)
        #expect(id == 6)
    }

    @Test func theMastersIDsAreTaken() throws {
        var table = DirectoryTable()
        let id = try table.register(info("a"), owner: .process, assigned: 77)
        #expect(id == 77 && table.entries[77]?.info.serviceID == 77)
        let again = code { _ = try table.register(info("b"), owner: .process, assigned: 77) }
        #expect(again == .conflict)
        let bad = code { _ = try table.register(info("b"), owner: .process, assigned: 1) }
        #expect(bad == .conflict)
    }

    @Test func whatIsRememberedOfTheGoneIsBounded() throws {
        var table = DirectoryTable()
        for number in 0..<5000 {
            _ = try table.register(info("n\(number)"), owner: .connection(1))
            _ = table.removeAll(of: .connection(1))
        }
        // The first was forgotten: its id is not given again, and it gets another.
        let forgotten = try table.register(info("n0", wish: 2), owner: .process)
        #expect(forgotten == 5002)
        let known = try table.register(info("n4999", wish: 5001), owner: .process)
        #expect(known == 5001)
    }
}
