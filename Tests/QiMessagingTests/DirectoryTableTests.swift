@testable import QiMessaging
import QiWire
import Testing

struct DirectoryTableTests {
    private func info(_ name: String, id: UInt32 = 0, endpoints: [String] = ["tcp://127.0.0.1:1"], session: String = "s") -> ServiceInfo {
        ServiceInfo(
            name: name, serviceID: id, machineID: "m", processID: 1, endpoints: endpoints, sessionID: session, objectUID: [])
    }

    private func code(_ body: () throws -> Void) -> QiError.Code? {
        do { try body() } catch { return (error as? QiError)?.code }
        return nil
    }

    @Test func idsAreNeverReused() throws {
        var table = DirectoryTable()
        let result1 = try table.register(info("a"), owner: .process)
        #expect(result1 == 2)
        let result2 = try table.register(info("b"), owner: .process)
        #expect(result2 == 3)
        _ = try table.unregister(3, owner: .process)
        let result3 = try table.register(info("b"), owner: .process)
        #expect(result3 == 4)
    }

    @Test func aPendingServiceHoldsItsNameAndIsNotFound() throws {
        var table = DirectoryTable()
        let id = try table.register(info("a"), owner: .connection(1))
        #expect(table.find("a") == nil && table.ready.isEmpty)
        let result7 = code { _ = try table.register(info("a"), owner: .connection(2)) }
        #expect(result7 == .conflict)
        let result6 = try table.ready(id, owner: .connection(1)).name
        #expect(result6 == "a")
        #expect(table.find("a")?.info.serviceID == id)
        let result8 = code { _ = try table.ready(id, owner: .connection(1)) }
        #expect(result8 == .notFound)
    }

    @Test func onlyTheOwnerMayChange() throws {
        var table = DirectoryTable()
        let id = try table.register(info("a"), owner: .connection(1))
        for stranger in [DirectoryTable.Owner.connection(2), .process] {
            let result9 = code { _ = try table.ready(id, owner: stranger) }
            #expect(result9 == .notFound)
            let result10 = code { _ = try table.unregister(id, owner: stranger) }
            #expect(result10 == .notFound)
            let result11 = code { try table.update(info("a", id: id), owner: stranger) }
            #expect(result11 == .notFound)
        }
        _ = try table.unregister(id, owner: .connection(1))
        let result12 = code { _ = try table.unregister(id, owner: .connection(1)) }
        #expect(result12 == .notFound)
    }

    @Test func updatesReachTheWholeSession() throws {
        var table = DirectoryTable()
        let owner = DirectoryTable.Owner.connection(1)
        for name in ["a", "b", "c"] {
            let id = try table.register(info(name, session: name == "c" ? "other" : "s"), owner: owner)
            _ = try table.ready(id, owner: owner)
        }
        try table.update(info("a", id: 2, endpoints: ["tcp://10.0.0.1:2"]), owner: owner)
        #expect(table.ready.map(\.info.endpoints) == [["tcp://10.0.0.1:2"], ["tcp://10.0.0.1:2"], ["tcp://127.0.0.1:1"]])
        let result13 = code { try table.update(info("z", id: 2), owner: owner) }
        #expect(result13 == .invalid)
        let result14 = code { try table.update(info("a", id: 2, endpoints: ["no uri at all"]), owner: owner) }
        #expect(result14 == .invalid)
    }

    @Test func theOwnersEndTakesAllOfIts() throws {
        var table = DirectoryTable()
        let owner = DirectoryTable.Owner.connection(1)
        _ = try table.register(info("a"), owner: owner)
        _ = try table.register(info("b"), owner: .process)
        _ = try table.ready(try table.register(info("c"), owner: owner), owner: owner)
        let result19 = table.removeAll(of: owner).map(\.info.name)
        #expect(result19 == ["a", "c"])
        #expect(table.entries.count == 1)
        let again = table.removeAll(of: owner)
        #expect(again.isEmpty)
    }

    @Test func isBoundedPerOwner() throws {
        var table = DirectoryTable(maximumPerOwner: 2)
        for name in ["a", "b"] { _ = try table.register(info(name), owner: .connection(1)) }
        let result15 = code { _ = try table.register(info("c"), owner: .connection(1)) }
        #expect(result15 == .limit)
        let result4 = try table.register(info("c"), owner: .connection(2))
        #expect(result4 == 4)
        let result16 = code { _ = try table.register(info("d", endpoints: Array(repeating: "tcp://h:1", count: 65)), owner: .process) }
        #expect(result16 == .limit)
    }

    /// libqi's directory lists them itself, one for each service of the process.
    @Test func relativeEndpointsCountForNothingAndAreNotKept() throws {
        var table = DirectoryTable()
        let many = (0..<200).map { "qi:Neighbour\($0)" } + ["tcp://10.0.0.1:1"]
        let id = try table.register(info("a", endpoints: many), owner: .process)
        #expect(table.entries[id]?.info.endpoints == ["tcp://10.0.0.1:1"])
        try table.update(info("a", id: id, endpoints: many + ["tcp://10.0.0.1:2"]), owner: .process)
        #expect(table.entries[id]?.info.endpoints == ["tcp://10.0.0.1:1", "tcp://10.0.0.1:2"])
    }

    @Test(arguments: ["", "a b", "\u{e9}", "\u{65e5}\u{672c}", "%", "[x]", "a%20b", "a/b", "a?b", "a\0b", String(repeating: "x", count: 256)])
    func namesThatLibqiCannotStand(name: String) {
        var table = DirectoryTable()
        let result17 = code { _ = try table.register(info(name), owner: .process) }
        #expect(result17 == .invalid)
    }

    @Test(arguments: ["ALTextToSpeech", "a.b_c~d-0", String(repeating: "x", count: 255)])
    func namesThatItCan(name: String) throws {
        var table = DirectoryTable()
        let result5 = try table.register(info(name), owner: .process)
        #expect(result5 == 2)
    }

    @Test(arguments: ["", "not a uri", "tcp://", "tcp://h", "tcp://h:99999", "tcp://h:1 ", "qi:"])
    func endpointsThatAreNone(text: String) {
        var table = DirectoryTable()
        let result18 = code { _ = try table.register(info("a", endpoints: ["tcp://127.0.0.1:1", text]), owner: .process) }
        #expect(result18 == .invalid)
        #expect(table.entries.isEmpty)
    }
}
