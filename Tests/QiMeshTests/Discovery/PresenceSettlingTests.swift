import Testing
import XMPP

@testable import QiMesh

/// Which presences count as a device's own after a login.
@Suite struct PresenceSettlingTests {
    private let start = ContinuousClock.now

    private func jid(_ name: String) throws -> JID { try #require(JID("\(name)@mesh.test/qimesh")) }

    @Test func presencesOfTheFirstFiveSecondsMayBeRepeated() throws {
        let one = try jid("one")
        var settling = PresenceSettling()
        #expect(!settling.mayBeRepeated(one, at: start))
        settling.wentOnline(at: start)
        #expect(settling.mayBeRepeated(one, at: start + .seconds(4.9)) && settling.isSettling(at: start + .seconds(4.9)))
        #expect(!settling.mayBeRepeated(one, at: start + .seconds(5)) && !settling.isSettling(at: start + .seconds(5)))
        settling.wentOnline(at: start + .seconds(60))
        settling.wentOffline()
        #expect(!settling.mayBeRepeated(one, at: start + .seconds(61)))
    }

    @Test func aPresenceThatComesBackSinceTheLoginIsTheDevicesOwn() throws {
        let (one, two) = (try jid("one"), try jid("two"))
        var settling = PresenceSettling()
        settling.wentOnline(at: start)
        settling.went(one, at: start + .seconds(1))
        #expect(!settling.mayBeRepeated(one, at: start + .seconds(1)) && settling.mayBeRepeated(two, at: start + .seconds(1)))
        // The next login begins anew.
        settling.wentOnline(at: start + .seconds(2))
        #expect(settling.mayBeRepeated(one, at: start + .seconds(3)))
    }

    /// As a node does with a presence that comes and goes: it is asked about once, not at each turn.
    @Test func aPresenceThatFlapsAfterALoginIsAskedAboutOnce() throws {
        let one = try jid("one")
        var settling = PresenceSettling()
        var machine = DeviceProbesStateMachine()
        settling.wentOnline(at: start)
        var questions = 0
        for turn in 0..<8 {
            let now = start + .milliseconds(500 * turn)
            machine.present(one, isLive: !settling.mayBeRepeated(one, at: now), at: now)
            questions += machine.turn(watched: [one], now: now).probes.count
            settling.went(one, at: now)
            machine.gone(one)
        }
        #expect(questions == 1)
    }
}
