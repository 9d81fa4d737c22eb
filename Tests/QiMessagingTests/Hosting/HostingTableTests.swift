@testable import QiMessaging
import Testing

struct HostingTableTests {
    private func place(_ id: UInt32, _ connection: UInt64 = 1) -> HostingTable.Place { HostingTable.Place(id: id, connection: connection) }

    /// A service with the id 2 here and 7 there, shown on connection 1.
    private func table() -> HostingTable {
        var table = HostingTable()
        table.entered(2, "Vision", at: place(7))
        let isUp = table.readied(2, at: place(7))
        #expect(isUp)
        return table
    }

    @Test func aServiceIsKnownByItsIDThereOnTheConnectionThatGaveIt() {
        let table = table()
        #expect(table.own(place(7)) == 2)
        #expect(table.own(place(7, 2)) == nil && table.own(place(2)) == nil)
        #expect(table.hosts("Vision") && !table.hosts("Motion"))
    }

    @Test func whatWasUpOnALostConnectionIsMissingAndWishesForItsID() {
        var table = table()
        table.entered(3, "Pending", at: place(8))
        table.entered(4, "Elsewhere", at: place(9, 2))
        let lost = table.lost(1)
        #expect(lost == ["Vision"])
        #expect(table.missing == [2] && table.entries[2]?.lastID == 7)
        let isShown = table.readied(3, at: place(8))
        #expect(!isShown, "what was not ready when the path was lost is not registered")
        #expect(table.own(place(9, 2)) == 4)
    }

    @Test func aMissingServiceIsRegisteredAgainOnce() {
        var table = table()
        _ = table.lost(1)
        let isTaken = table.registered(2, at: place(11, 2))
        #expect(isTaken && table.missing.isEmpty && table.own(place(11, 2)) == 2)
        let isTakenAgain = table.registered(2, at: place(12, 2))
        #expect(!isTakenAgain)
    }

    @Test func whatTheDeviceRemovedIsMissing() {
        var table = table()
        let other = table.dropped(7, on: 2)
        let own = table.dropped(7, on: 1)
        #expect(other == nil && own == 2 && table.isMissing(2))
    }

    @Test func whatHasGoneIsTakenAwayWhereItIsRegistered() {
        var table = table()
        let there = table.left(2)
        #expect(there == place(7) && table.isEmpty && !table.hosts("Vision"))
        table = self.table()
        _ = table.lost(1)
        let nowhere = table.left(2)
        let isTaken = table.registered(2, at: place(7, 2))
        #expect(nowhere == nil && !isTaken)
    }
}
