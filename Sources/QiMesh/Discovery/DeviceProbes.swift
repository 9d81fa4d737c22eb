import Synchronization
import XMPP

/// Asks connections of devices whether they are alive, as ``DeviceProbesStateMachine`` decides. ``run(watched:changed:)`` is its lifetime;
/// everything else may be called on any thread, and at any time.
final class DeviceProbes: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// The time, and how it passes.
    struct Time: Sendable {
        var now: @Sendable () -> Instant = { .now }
        /// Returns after that time, or when the task is cancelled.
        var sleep: @Sendable (Duration) async -> Void = Race.sleep
    }

    private let machine = Mutex(DeviceProbesStateMachine())
    private let time: Time
    /// The round trip of one question that may be answered for so long (XEP-0199).
    private let ping: @Sendable (JID, Duration) async throws(XMPPError) -> Duration
    /// How long ago something came from connections by another way than XMPP.
    private let silences: @Sendable () async -> [JID: Duration]
    /// Our own server, which is asked in the same way.
    private let server: JID
    /// The next turn is due at another time than before.
    private let wakes = PeerObservers()
    /// What was asked may be known now.
    private let settled = PeerObservers()

    /// How long an answer is waited for; longer than any patience, for what a late one tells of the path.
    private static let answerLimit: Duration = .seconds(15)
    /// How long a look waits for answers.
    private static let lookLimit: Duration = .seconds(1)
    /// The same for those of whom it is known by then whether they answer.
    private static let longLookLimit: Duration = .milliseconds(2_300)
    /// How long our own server may take, when the fault may be ours.
    private static let checkLimit: Duration = .seconds(5)

    /// - Parameter silences: how long ago something came from connections by another way than XMPP; asked when a question would be sent, or
    ///   judged, and not otherwise.
    init(
        server: JID, time: Time = Time(), silences: @escaping @Sendable () async -> [JID: Duration] = { [:] },
        ping: @escaping @Sendable (JID, Duration) async throws(XMPPError) -> Duration
    ) {
        self.server = server
        self.silences = silences
        self.time = time
        self.ping = ping
    }

    // MARK: - Lifetime

    /// Asks, until the task is cancelled.
    ///
    /// - Parameters:
    ///   - watched: the connections that are looked at all the time, if any are now.
    ///   - changed: told when a connection has become stale, or is so no more.
    func run(watched: @escaping @Sendable () -> [JID], changed: @escaping @Sendable () -> Void) async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                // Before the turn, so that what happens during it is not slept over.
                let wakes = self.wakes.changes()
                for await _ in wakes { break }
                let seen = watched()
                if machine.withLock({ $0.wouldAsk(watched: seen, now: time.now()) }), await hear() { changed() }
                let turn = machine.withLock { $0.turn(watched: seen, now: time.now()) }
                for probe in turn.probes { group.addTask { [self] in told(await send(probe), changed) } }
                if turn.checks { group.addTask { [self] in told(await check(), changed) } }
                if turn.isSettled { settled.notify() }
                await pause(until: turn.next, wakes)
            }
            group.cancelAll()
        }
    }

    private func pause(until next: Instant?, _ wakes: AsyncStream<Void>) async {
        let wait: @Sendable () async -> Void = { for await _ in wakes { return } }
        guard let next else { return await wait() }
        let now = time.now()
        if next > now { await Race.within(next - now, sleep: time.sleep, wait) }
    }

    /// Sends a question and learns from what becomes of it. Returns whether that is news.
    private func send(_ probe: DeviceProbesStateMachine.Probe) async -> Bool {
        do throws(XMPPError) {
            let roundTrip = try await ping(probe.connection, Self.answerLimit)
            return machine.withLock { $0.answered(probe.connection, in: roundTrip, at: time.now()) }
        } catch {
            return machine.withLock { machine in
                if Self.isUnreachable(error) { return machine.unreachable(probe) }
                // One that is late was judged when its time was up.
                machine.failed(probe)
                return false
            }
        }
    }

    /// Asks our own server: a device is not blamed for what our own connection does. Returns whether a device is stale now.
    private func check() async -> Bool {
        var isAnswered = true
        do throws(XMPPError) {
            _ = try await ping(server, Self.checkLimit)
        } catch {
            // One that knows no pings has answered as well.
            isAnswered = error.stanzaError != nil
        }
        let isNews = await hear()
        return machine.withLock { $0.checked(isAnswered: isAnswered) } || isNews
    }

    /// Notes what came by other ways. Returns whether a connection is stale no more.
    private func hear() async -> Bool {
        let silences = await silences()
        let now = time.now()
        return machine.withLock { machine in
            silences.reduce(false) { isNews, silence in machine.wasHeard(silence.key, at: now - silence.value) || isNews }
        }
    }

    /// Whether a server says that the device is not there (RFC 6121 §8.5.3.2.3, RFC 6120 §8.3.3). Whatever else is answered says nothing.
    static func isUnreachable(_ error: XMPPError) -> Bool {
        guard let condition = error.stanzaError?.condition else { return false }
        return [
            "service-unavailable", "remote-server-not-found", "remote-server-timeout", "recipient-unavailable", "item-not-found", "gone",
        ].contains(condition)
    }

    private func told(_ isNews: Bool, _ changed: () -> Void) {
        settled.notify()
        wakes.notify()
        if isNews { changed() }
    }

    // MARK: - What is known

    /// What is known of a connection; nil for one that is not there.
    func liveness(of connection: JID) -> Liveness? { machine.withLock { $0.liveness(of: connection) } }

    // MARK: - Events

    /// Somebody looks, or looks no more.
    func wake() { wakes.notify() }

    /// As the machine's.
    func present(_ connection: JID, isLive: Bool) {
        machine.withLock { $0.present(connection, isLive: isLive, at: time.now()) }
        wakes.notify()
    }

    /// As the machine's.
    func gone(_ connection: JID) {
        machine.withLock { $0.gone(connection) }
        settled.notify()
    }

    /// As the machine's. Returns whether that is news.
    func heard(_ connection: JID) -> Bool { machine.withLock { $0.heard(connection, at: time.now()) } }

    /// A question was answered that was asked elsewhere. Returns whether that is news.
    func answered(_ connection: JID, in roundTrip: Duration) -> Bool {
        machine.withLock { $0.answered(connection, in: roundTrip, at: time.now()) }
    }

    /// A question was not answered that was asked elsewhere, so long ago. What came by other ways since then speaks for the device. Returns
    /// whether a device is stale now that was not, or is no more.
    func unanswered(_ connection: JID, for wait: Duration) async -> Bool {
        let asked = time.now() - wait
        let isNews = await hear()
        return machine.withLock { $0.unanswered(connection, since: asked) } || isNews
    }

    // MARK: - Looking

    /// Asks those of these connections that were not heard lately, and waits about a second for what they say; up to two for those that
    /// have always been quick. What comes later is known at the next look.
    ///
    /// - Parameter limit: how long to wait at most, where that is to be another time.
    func look(at connections: [JID], within limit: Duration? = nil) async {
        let start = time.now()
        let asked = machine.withLock { $0.look(at: connections, now: start) }
        guard !asked.isEmpty else { return }
        wakes.notify()
        await wait(for: asked, until: start + (limit ?? Self.lookLimit))
        guard limit == nil else { return }
        let end = start + Self.longLookLimit
        let soon = machine.withLock { $0.due(asked, by: end) }
        if !soon.isEmpty { await wait(for: soon, until: end) }
    }

    private func wait(for connections: [JID], until end: Instant) async {
        await Race.within(end - time.now(), sleep: time.sleep) { [self] in
            for await _ in settled.changes() where machine.withLock({ $0.isSettled(connections) }) { return }
        }
    }
}
