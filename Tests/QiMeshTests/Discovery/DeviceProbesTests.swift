import Synchronization
import Testing
import XMPP

@testable import QiMesh

/// The executor with a client that does as the test says, and a time that the test moves.
@Suite(.timeLimit(.minutes(8))) struct DeviceProbesTests {
    /// What a device does when it is asked.
    private enum Conduct: Sendable {
        case answer(Duration), silence, refuse(String), loss
    }

    /// A client with devices behind it.
    private final class Script: Sendable {
        let server = JID("mesh.test")
        let checked = Atomic(0)
        let serverAnswers = Atomic(true)
        let conduct = Mutex<[JID: Conduct]>([:])
        let asked = Mutex<[JID]>([])
        let isWatched = Atomic(false)
        /// How long ago something came by another way, and how often that was asked.
        let silences = Mutex<[JID: Duration]>([:])
        let silencesAsked = Atomic(0)
        let changes = Atomic(0)

        func ping(_ device: JID) async throws(XMPPError) -> Duration {
            if device == server {
                checked.add(1, ordering: .relaxed)
                guard serverAnswers.load(ordering: .relaxed) else { throw XMPPError(.timedOut, "silent") }
                return .milliseconds(1)
            }
            asked.withLock { $0.append(device) }
            switch conduct.withLock({ $0[device] }) {
            case .answer(let roundTrip): return roundTrip
            case .refuse(let condition):
                throw XMPPError(.stanza, "an error", stanzaError: StanzaError(.cancel, condition))
            case .loss: throw XMPPError(.connectionLost, "lost")
            case .silence, nil:
                // Ends with the test.
                let (never, continuation) = AsyncStream.makeStream(of: Void.self)
                for await _ in never {}
                withExtendedLifetime(continuation) {}
                throw XMPPError(.cancelled, "cancelled")
            }
        }

        var count: Int { asked.withLock { $0.count } }
    }

    private func jid(_ name: String) throws -> JID { try #require(JID("\(name)@mesh.test/qimesh")) }

    /// Runs `body` while the probes run, about these devices, who are watched while the script says so.
    private func withProbes(
        _ conduct: [JID: Conduct], isLive: Bool = false, _ body: @escaping @Sendable (DeviceProbes, Script, ManualTime) async throws -> Void
    ) async throws {
        let (script, time) = (Script(), ManualTime())
        script.conduct.withLock { $0 = conduct }
        let server = try #require(script.server)
        let probes = DeviceProbes(
            server: server, time: time.time,
            silences: {
                script.silencesAsked.add(1, ordering: .relaxed)
                return script.silences.withLock { $0 }
            }
        ) { (device, _) async throws(XMPPError) in try await script.ping(device) }
        for device in conduct.keys { probes.present(device, isLive: isLive) }
        let devices = Array(conduct.keys)
        try await withThrowingTaskGroup { group in
            group.addTask {
                await probes.run(
                    watched: { script.isWatched.load(ordering: .relaxed) ? devices : [] },
                    changed: { script.changes.add(1, ordering: .relaxed) })
            }
            try await body(probes, script, time)
            group.cancelAll()
        }
    }

    @Test func aLookReturnsWhenAllHaveAnswered() async throws {
        let (one, two) = (try jid("one"), try jid("two"))
        try await withProbes([one: .answer(.milliseconds(7)), two: .answer(.seconds(2))]) { probes, script, _ in
            // The time stands: only the answers end the look.
            await probes.look(at: [one, two])
            #expect(probes.liveness(of: one)?.roundTrip == .milliseconds(7) && probes.liveness(of: two)?.roundTrip == .seconds(2))
            #expect(script.count == 2 && script.changes.load(ordering: .relaxed) == 0)
            await probes.look(at: [one, two])
            #expect(script.count == 2)
        }
    }

    @Test func aDeviceThatIsHeardByAnotherWayIsNotAsked() async throws {
        let (one, two) = (try jid("one"), try jid("two"))
        try await withProbes([one: .silence, two: .answer(.milliseconds(5))]) { probes, script, time in
            script.silences.withLock { $0 = [one: .seconds(3), two: .seconds(30)] }
            await probes.look(at: [one, two])
            #expect(script.asked.withLock { $0 } == [two])
            #expect(probes.liveness(of: one)?.heard == time.now - .seconds(3))
            #expect(script.silencesAsked.load(ordering: .relaxed) == 1)
            // Nothing is due: nothing is looked at.
            await probes.look(at: [one, two])
            #expect(script.silencesAsked.load(ordering: .relaxed) == 1)
        }
    }

    @Test func aDeviceThatIsHeardByAnotherWayWhileAQuestionWaitsIsNotStale() async throws {
        let one = try jid("one")
        try await withProbes([one: .silence]) { probes, script, time in
            async let look: Void = probes.look(at: [one])
            await time.sleeping(1, for: .seconds(5))
            await time.sleeping(2, for: .seconds(1))
            time.advance(.seconds(1))
            await look
            script.silences.withLock { $0 = [one: .seconds(2)] }
            await time.sleeping(1, for: .seconds(4))
            time.advance(.seconds(4))
            while script.checked.load(ordering: .relaxed) == 0 { await Task.yield() }
            while probes.liveness(of: one)?.isLate != false { await Task.yield() }
            #expect(probes.liveness(of: one)?.staleSince == nil && script.count == 1)
        }
    }

    @Test func aLookWaitsASecondForASilentOneThatIsStaleFiveSecondsAfterTheQuestion() async throws {
        let one = try jid("one")
        try await withProbes([one: .silence]) { probes, script, time in
            async let look: Void = probes.look(at: [one])
            await time.sleeping(1, for: .seconds(5))
            await time.sleeping(2, for: .seconds(1))
            time.advance(.seconds(1))
            await look
            #expect(probes.liveness(of: one)?.staleSince == nil)
            await time.sleeping(1, for: .seconds(4))
            time.advance(.seconds(4))
            while script.changes.load(ordering: .relaxed) == 0 { await Task.yield() }
            #expect(probes.liveness(of: one)?.staleSince != nil && script.count == 1)
            // The next sign of life is news again.
            #expect(probes.heard(one) && probes.liveness(of: one)?.staleSince == nil)
        }
    }

    @Test func oneThatWasQuickIsStaleAtTheFirstLookTwoSecondsLater() async throws {
        let one = try jid("one")
        try await withProbes([one: .answer(.milliseconds(3))]) { probes, script, time in
            await probes.look(at: [one])
            script.conduct.withLock { $0[one] = .silence }
            time.advance(.seconds(8))
            async let look: Void = probes.look(at: [one])
            await time.sleeping(1, for: .seconds(2))
            await time.sleeping(2, for: .seconds(1))
            time.advance(.seconds(1))
            // What is left of its patience, and of the look's.
            await time.sleeping(1, for: .milliseconds(1_300))
            await time.sleeping(2, for: .seconds(1))
            time.advance(.seconds(1))
            await look
            #expect(probes.liveness(of: one)?.staleSince != nil)
        }
    }

    @Test(
        arguments: [
            ("service-unavailable", true), ("remote-server-not-found", true), ("resource-constraint", false), ("not-allowed", false),
        ])
    func whatAServerAnswersInItsPlace(_ condition: String, _ isStale: Bool) async throws {
        let one = try jid("one")
        try await withProbes([one: .refuse(condition)]) { probes, script, _ in
            await probes.look(at: [one])
            #expect((probes.liveness(of: one)?.staleSince != nil) == isStale && script.count == 1)
        }
    }

    @Test func whileOurOwnServerIsSilentNoDeviceIsBlamed() async throws {
        let one = try jid("one")
        try await withProbes([one: .silence]) { probes, script, time in
            script.serverAnswers.store(false, ordering: .relaxed)
            async let look: Void = probes.look(at: [one], within: .seconds(60))
            await time.sleeping(1, for: .seconds(60))
            await time.sleeping(2, for: .seconds(5))
            time.advance(.seconds(5))
            await look
            #expect(probes.liveness(of: one)?.staleSince == nil && script.checked.load(ordering: .relaxed) == 1)
            #expect(script.changes.load(ordering: .relaxed) == 0)
        }
    }

    @Test func aLossOfOursSaysNothingOfADevice() async throws {
        let one = try jid("one")
        try await withProbes([one: .loss]) { probes, _, _ in
            await probes.look(at: [one])
            #expect(probes.liveness(of: one)?.staleSince == nil)
        }
    }

    @Test func whileSomebodyWatchesEachIsAskedEveryEightSecondsAndElseNever() async throws {
        let one = try jid("one")
        try await withProbes([one: .answer(.milliseconds(1))], isLive: true) { probes, script, time in
            time.advance(.seconds(1_000))
            probes.wake()
            for _ in 0..<100 { await Task.yield() }
            #expect(script.count == 0)
            script.isWatched.store(true, ordering: .relaxed)
            probes.wake()
            while script.count == 0 { await Task.yield() }
            await time.sleeping(1, for: .seconds(8))
            for expected in 2...5 {
                time.advance(.seconds(8))
                while script.count < expected { await Task.yield() }
                await time.sleeping(1, for: .seconds(8))
                #expect(script.count == expected)
            }
            script.isWatched.store(false, ordering: .relaxed)
            time.advance(.seconds(8))
            for _ in 0..<100 { await Task.yield() }
            #expect(script.count == 5)
        }
    }
}
