import NIOCore
@testable import QiMessaging
import Testing

@Suite struct AdmissionTableTests {
    private let now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let here: [UInt8] = [10, 0, 0, 1]
    private let there: [UInt8] = [10, 0, 0, 2]

    private func limits(_ change: (inout ListenerLimits) -> Void) -> ListenerLimits {
        var limits = ListenerLimits()
        change(&limits)
        return limits
    }

    private func admitted(_ outcome: AdmissionTable.OnConnecting) throws -> (id: UInt64, evicting: UInt64?) {
        guard case .admit(let id, let evicted) = outcome else { throw QiError(.limit, "\(outcome)") }
        return (id, evicted)
    }

    @Test func connectionsAreBoundedInAllAndFromOnePlace() throws {
        var table = AdmissionTable(limits { ($0.maximumConnections, $0.maximumConnectionsPerAddress) = (3, 2) })
        let first = try admitted(table.connecting(from: here, at: now))
        table.proven(first.id)
        _ = try admitted(table.connecting(from: here, at: now))
        #expect(table.connecting(from: here, at: now) == .refuse(.connectionsFromAddress))
        _ = try admitted(table.connecting(from: there, at: now))
        #expect(table.connecting(from: there, at: now) == .refuse(.connections))
        table.closed(first.id)
        _ = try admitted(table.connecting(from: there, at: now))
        #expect(table.count == 3 && table.countUnproven == 3)
    }

    /// The one that has been at it longest makes room: first of the same place, else of all.
    @Test func whoeverTakesTooLongMakesRoom() throws {
        var table = AdmissionTable(limits { ($0.maximumUnproven, $0.maximumUnprovenPerAddress) = (3, 2) })
        let first = try admitted(table.connecting(from: there, at: now)).id
        let second = try admitted(table.connecting(from: here, at: now)).id
        let third = try admitted(table.connecting(from: here, at: now)).id
        let fourth = try admitted(table.connecting(from: here, at: now))
        #expect(fourth.evicting == second)
        table.closed(second)
        // Whoever has proven itself is not in the way.
        table.proven(third)
        let fifth = try admitted(table.connecting(from: here, at: now))
        #expect(fifth.evicting == nil)
        let sixth = try admitted(table.connecting(from: there, at: now))
        #expect(sixth.evicting == first)
    }

    /// What closes late or twice counts once.
    @Test func countsReturnToNothing() throws {
        var table = AdmissionTable(ListenerLimits())
        var ids: [UInt64] = []
        for index in 0..<100 { ids.append(try admitted(table.connecting(from: index % 2 == 0 ? here : there, at: now)).id) }
        for id in ids.prefix(50) { table.proven(id) }
        for id in ids + ids { table.closed(id) }
        for id in ids { table.proven(id) }
        #expect(table.count == 0 && table.countUnproven == 0)
    }

    @Test func theRateOfOnePlaceIsBounded() throws {
        var table = AdmissionTable(limits { ($0.connectionsPerSecond, $0.burst) = (10, 3) })
        for _ in 0..<3 { _ = try admitted(table.connecting(from: here, at: now)) }
        #expect(table.connecting(from: here, at: now) == .refuse(.rate))
        _ = try admitted(table.connecting(from: there, at: now))
        #expect(table.connecting(from: here, at: now + .milliseconds(50)) == .refuse(.rate))
        _ = try admitted(table.connecting(from: here, at: now + .milliseconds(101)))
        #expect(table.connecting(from: here, at: now + .milliseconds(102)) == .refuse(.rate))
        // A pause earns no more than the burst.
        let later = now + .seconds(60)
        for _ in 0..<3 { _ = try admitted(table.connecting(from: here, at: later)) }
        #expect(table.connecting(from: here, at: later) == .refuse(.rate))
    }

    /// Connections from ever new places must not fill the memory.
    @Test func placesAreForgotten() throws {
        var table = AdmissionTable(ListenerLimits())
        for number in 0..<40_000 {
            let place = [UInt8(number >> 16), UInt8(number >> 8 & 255), UInt8(number & 255), 0]
            table.closed(try admitted(table.connecting(from: place, at: now)).id)
        }
        #expect(table.placesRemembered <= 16_384)
    }
}
