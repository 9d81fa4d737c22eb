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

    private func open(
        _ table: inout AdmissionTable, _ place: [UInt8], as user: String? = nil
    ) throws -> (id: UInt64, outcome: AdmissionTable.OnProving) {
        let id = try admitted(table.connecting(from: place, at: now)).id
        let outcome = table.proven(id, as: user.map { .user($0) })
        switch outcome {
        case .refuse: table.closed(id)
        case .stay(let evicted): if let evicted { table.closed(evicted) }
        }
        return (id, outcome)
    }

    @Test func connectionsAreBoundedInAllAndFromOnePlace() throws {
        var table = AdmissionTable(limits { ($0.maximumConnections, $0.maximumConnectionsPerAddress) = (4, 2) })
        let first = try open(&table, here).id
        #expect(try open(&table, here).outcome == .stay(evicting: nil))
        #expect(try open(&table, here).outcome == .refuse(.connectionsFromAddress))
        #expect(try open(&table, there).outcome == .stay(evicting: nil))
        // Strangers have three of four places. One that holds two gives one up, and none that holds one.
        #expect(try open(&table, [10, 0, 0, 3]).outcome == .stay(evicting: first))
        #expect(try open(&table, [10, 0, 0, 4]).outcome == .refuse(.connections))
        #expect(table.count == 3 && table.countUnproven == 0)
    }

    @Test func onePrincipalHasABoundWhereverItComesFrom() throws {
        var table = AdmissionTable(limits { ($0.maximumConnectionsPerPrincipal, $0.maximumConnectionsPerAddress) = (3, 2) })
        for place in [here, here, there] { #expect(try open(&table, place, as: "guest").outcome == .stay(evicting: nil)) }
        #expect(try open(&table, [10, 0, 0, 3], as: "guest").outcome == .refuse(.connectionsOfPrincipal))
        // Others at the same address are not counted with it.
        #expect(try open(&table, here, as: "nao").outcome == .stay(evicting: nil))
        #expect(try open(&table, here).outcome == .stay(evicting: nil))
    }

    @Test func whenAllPlacesAreTakenTheLargestHolderGivesItsOldest() throws {
        var table = AdmissionTable(limits { ($0.maximumConnections, $0.maximumConnectionsPerPrincipal) = (8, 6) })
        var guests: [UInt64] = []
        for _ in 0..<6 { guests.append(try open(&table, here, as: "guest").id) }
        for _ in 0..<2 { _ = try open(&table, there, as: "nao") }
        #expect(try open(&table, there, as: "nao").outcome == .stay(evicting: guests[0]))
        #expect(try open(&table, there, as: "op").outcome == .stay(evicting: guests[1]))
        // Four for guest, three for nao, one for op: a fourth for nao would leave guest with less.
        #expect(try open(&table, there, as: "nao").outcome == .refuse(.connections))
        #expect(table.connections(of: .principal(.user("guest"))) == 4 && table.count == 8)
    }

    @Test func strangersLeaveRoomForKnownPrincipalsAndMakeMore() throws {
        var table = AdmissionTable(limits { $0.maximumConnections = 8 })
        var strangers: [UInt64] = []
        for number in 0..<6 { strangers.append(try open(&table, [10, 0, 1, UInt8(number)]).id) }
        #expect(try open(&table, here).outcome == .refuse(.connections))
        for _ in 0..<2 { #expect(try open(&table, here, as: "nao").outcome == .stay(evicting: nil)) }
        // All are taken: a known one takes the place of a stranger, and a stranger none of a known one.
        guard case .stay(.some(let evicted)) = try open(&table, here, as: "nao").outcome else { throw QiError(.limit, "refused") }
        #expect(strangers.contains(evicted))
        #expect(try open(&table, there).outcome == .refuse(.connections))
        #expect(table.connections(of: .principal(.user("nao"))) == 3)
    }

    /// One address with much gives way to another with nothing.
    @Test func strangersShareAmongThemselves() throws {
        var table = AdmissionTable(limits { $0.maximumConnections = 8 })
        let first = try open(&table, here).id
        for _ in 0..<5 { _ = try open(&table, here) }
        #expect(try open(&table, there).outcome == .stay(evicting: first))
    }

    @Test func aUserThatTheKernelNamesIsCountedAtOnce() throws {
        var table = AdmissionTable(limits { ($0.maximumConnectionsPerPrincipal, $0.burst) = (2, 1) })
        var ids: [UInt64] = []
        for _ in 0..<2 { ids.append(try admitted(table.connecting(as: .user(1000), isKnown: true)).id) }
        #expect(table.connecting(as: .user(1000), isKnown: true) == .refuse(.connectionsOfPrincipal))
        #expect(table.countUnproven == 0)
        #expect(table.proven(ids[0], as: nil) == .stay(evicting: nil))
        for id in ids { table.closed(id) }
        #expect(table.connections(of: .user(1000)) == 0 && table.count == 0)
    }

    @Test func whoeverHoldsMostIsToldToGoWhenNoDescriptorIsLeft() throws {
        var table = AdmissionTable(ListenerLimits())
        #expect(table.spare() == nil)
        for _ in 0..<3 { _ = try admitted(table.connecting(as: .user(1000), isKnown: true)) }
        #expect(table.spare() == nil)
        let guests = [try open(&table, here, as: "guest").id, try open(&table, here, as: "guest").id]
        #expect(table.spare() == guests[0])
        let waiting = [try admitted(table.connecting(from: here, at: now)).id, try admitted(table.connecting(from: here, at: now)).id]
        #expect(table.spare() == waiting[0])
        let strangers = [try open(&table, there).id, try open(&table, there).id]
        #expect(table.spare() == strangers[0])
        let other = [0, 1, 2].map { _ in table.connecting(as: .user(1001), isKnown: false) }
        #expect(try table.spare() == admitted(other[0]).id)
    }

    @Test func limitsFitTheDescriptorsOfTheProcess() {
        #expect(ListenerLimits().fitting(descriptors: 65_536) == ListenerLimits())
        for descriptors in [16, 64, 256, 1024, 4096] {
            for limits in [ListenerLimits(), .internal] {
                let fitting = limits.fitting(descriptors: descriptors)
                // Two gates together leave what the process needs itself.
                let connections = 2 * (fitting.maximumConnections + fitting.maximumUnproven)
                #expect(connections <= descriptors - min(128, descriptors / 2))
                #expect(fitting.maximumConnections > 0 && fitting.maximumUnproven > 0 && fitting.maximumUnprovenPerAddress > 0)
                #expect(fitting.maximumConnectionsPerPrincipal <= fitting.maximumConnections)
                #expect(fitting.maximumConnectionsPerAddress <= fitting.maximumConnections)
            }
        }
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
        // One that is proven is not in the way.
        #expect(table.proven(third, as: nil) == .stay(evicting: nil))
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
        for (index, id) in ids.prefix(50).enumerated() { _ = table.proven(id, as: index % 2 == 0 ? nil : .user("\(index % 7)")) }
        for id in ids + ids { table.closed(id) }
        for id in ids { _ = table.proven(id, as: .user("late")) }
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
