@testable import QiMessaging
import QiWire
import Testing

/// What a directory keeps for a device whose connection was lost.
struct DirectoryKeepingTests {
    private typealias Holder = DirectoryTable.Holder
    private let desk = Holder(principal: "desk@test", zone: .internet)
    private let other = Holder(principal: "other@test", zone: .internet)

    private func info(_ name: String, id: UInt32 = 0) -> ServiceInfo {
        ServiceInfo(name: name, serviceID: id, machineID: "m", processID: 1, endpoints: [], sessionID: "s")
    }

    private func code(_ body: () throws -> Void) -> QiError.Code? {
        do { try body() } catch { return (error as? QiError)?.code }
        return nil
    }

    /// A table with `Vision`, ready, that a device had registered on connection 1, and lost.
    private func lost(
        _ holder: Holder
    ) throws -> (table: DirectoryTable, id: UInt32, left: (kept: [DirectoryTable.Entry], gone: [DirectoryTable.Entry])) {
        var table = DirectoryTable()
        let id = try table.register(info("Vision"), owner: .connection(1), holder: holder)
        _ = try table.ready(id, owner: .connection(1))
        _ = try table.register(info("Pending"), owner: .connection(1), holder: holder)
        let left = table.leave(1)
        return (table, id, left)
    }

    @Test func whatWasReadyIsKeptAndFoundAndTheRestGoes() throws {
        let (table, id, left) = try lost(desk)
        #expect(left.kept.map(\.info.name) == ["Vision"] && left.gone.map(\.info.name) == ["Pending"])
        #expect(table.find("Vision")?.info.serviceID == id && table.find("Vision")?.owner == .away(1))
        #expect(table.isKept("Vision", for: desk) && table.kept(for: desk) == 1)
        #expect(!table.isKept("Vision", for: other) && table.kept(for: other) == 0)
    }

    @Test func itsHolderTakesItUpUnderTheSameIDAndNoOtherDoes() throws {
        var (table, id, _) = try lost(desk)
        let stranger = code { _ = try table.register(info("Vision"), owner: .connection(2), holder: other) }
        let inside = code { _ = try table.register(info("Vision"), owner: .process) }
        #expect(stranger == .conflict && inside == .conflict)
        let again = try table.register(info("Vision"), owner: .connection(3), holder: desk)
        #expect(again == id && table.isAwaited("Vision"), "a look-up waits until it is ready")
        #expect(table.count(of: .connection(3)) == 1 && table.count(of: .away(1)) == 0)
        let late = table.removeAll(of: .away(1))
        #expect(late.isEmpty, "the time of the loss before does not count any more")
        let ready = try table.ready(id, owner: .connection(3))
        #expect(ready.name == "Vision" && table.entries[id]?.isKept == false)
    }

    @Test func aPathThatIsLostAgainBeforeItIsReadyKeepsIt() throws {
        var (table, id, _) = try lost(desk)
        _ = try table.register(info("Vision"), owner: .connection(3), holder: desk)
        let left = table.leave(3)
        #expect(left.kept.map(\.info.serviceID) == [id] && left.gone.isEmpty)
        #expect(table.find("Vision")?.owner == .away(3))
        let again = try table.register(info("Vision"), owner: .connection(4), holder: desk)
        #expect(again == id)
    }

    @Test func aPrincipalThatHasProvenNothingKeepsNothing() throws {
        let (table, _, left) = try lost(Holder(principal: "host:10.0.0.7", zone: .lan))
        #expect(left.kept.isEmpty && left.gone.count == 2 && table.entries.isEmpty)
    }

    @Test func whenItsTimeIsOverTheNameIsFree() throws {
        var (table, id, _) = try lost(desk)
        let gone = table.removeAll(of: .away(1))
        #expect(gone.map(\.info.serviceID) == [id])
        let next = try table.register(info("Vision"), owner: .connection(2), holder: other)
        #expect(next != id)
    }
}
