import NIOCore
import Testing

@testable import XMPP

struct IQTableTests {
    private static let zero = NIODeadline.uptimeNanoseconds(0)
    private let peer = JID("a@b/c")
    private let other = JID("e@b/c")

    @Test func answersCountFromTheAddressThatWasAskedOnly() throws {
        var table = IQTable<String>(prefix: "p-", limit: 10)
        let added = table.add(to: peer, deadline: .distantFuture, "waiter")
        let number = try #require(added)
        let id = table.id(number)
        #expect(table.answered(id: id, from: other, isOwn: false) == nil)
        #expect(table.answered(id: id, from: peer?.bare, isOwn: false) == nil)
        #expect(table.answered(id: id, from: nil, isOwn: true) == nil)
        #expect(table.answered(id: id, from: peer, isOwn: false) == "waiter")
        #expect(table.answered(id: id, from: peer, isOwn: false) == nil)
    }

    @Test func ownAccountAnswersUnderSeveralNames() throws {
        var table = IQTable<String>(prefix: "p-", limit: 10)
        let added = table.add(to: nil, deadline: .distantFuture, "waiter")
        let number = try #require(added)
        #expect(table.answered(id: table.id(number), from: other, isOwn: false) == nil)
        #expect(table.answered(id: table.id(number), from: nil, isOwn: true) == "waiter")
    }

    @Test(arguments: ["", "p-", "q-1", "p-zz zz", "p-99", "p", "1"])
    func foreignIDsMeanNothing(_ id: String) throws {
        var table = IQTable<String>(prefix: "p-", limit: 10)
        _ = table.add(to: peer, deadline: .distantFuture, "waiter")
        #expect(table.answered(id: id, from: peer, isOwn: false) == nil)
        #expect(table.count == 1)
    }

    @Test func isBounded() {
        var table = IQTable<Int>(prefix: "p-", limit: 3)
        let numbers = (0..<5).map { table.add(to: peer, deadline: .distantFuture, $0) }
        #expect(numbers.compactMap { $0 }.count == 3)
        #expect(table.removeAll() == [0, 1, 2])
        #expect(table.count == 0)
    }

    @Test func timeIsUpInOrder() throws {
        var table = IQTable<String>(prefix: "p-", limit: 10)
        _ = table.add(to: peer, deadline: Self.zero + .seconds(3), "third")
        _ = table.add(to: peer, deadline: Self.zero + .seconds(1), "first")
        let added = table.add(to: peer, deadline: Self.zero + .seconds(1), "cancelled")
        let cancelled = try #require(added)
        _ = table.add(to: peer, deadline: Self.zero + .seconds(1), "second")
        #expect(table.remove(cancelled) == "cancelled")
        #expect(table.expired(now: Self.zero).isEmpty)
        #expect(table.expired(now: Self.zero + .seconds(1)) == ["first", "second"])
        #expect(table.expired(now: Self.zero + .seconds(2)).isEmpty)
        #expect(table.expired(now: Self.zero + .seconds(3)) == ["third"])
    }
}
