import QiMesh
import UnixSignals

/// Pings a device until there were enough or Ctrl-C.
struct PingRun: Sendable {
    let control: ControlInterface
    let device: String
    /// Nil for no end.
    let count: Int?
    let interval: Duration
    /// How long each may take to be answered.
    let limit: Duration
    let console: Console

    private enum End: Sendable {
        case done(PingTally, CommandFailure?)
        case interrupted
    }

    /// - Throws: `timedOut` when none was answered; what the first one met, of a device that is unknown or not there.
    func run() async throws(CommandFailure) {
        let end = await withTaskGroup(of: End.self) { group in
            group.addTask { await pings() }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigint) { return .interrupted }
                return .interrupted
            }
            var end = End.interrupted
            // The pings tell how far they came, also when they are interrupted.
            while let next = await group.next() {
                if case .interrupted = next { group.cancelAll() }
                guard case .done = next else { continue }
                end = next
                group.cancelAll()
                break
            }
            return end
        }
        guard case .done(let tally, let failure) = end else { return }
        if tally.sent > 0 {
            if console.json { console.document(tally.json) } else { console.line("\(device): \(tally.text)") }
        }
        if tally.answered == 0, let failure { throw failure }
    }

    /// What became of them, with the last failure.
    private func pings() async -> End {
        var tally = PingTally()
        var failure: CommandFailure?
        let start = ContinuousClock.now
        while !Task.isCancelled, count.map({ tally.sent < $0 }) ?? true {
            do throws(CommandFailure) {
                let answer = try await ping()
                tally.ended(answer.rtt)
                show(answer, tally.sent)
            } catch {
                if Task.isCancelled { break }
                failure = error
                // Unknown, not let in, offline: nothing was asked.
                if tally.sent == 0, error.code != .timedOut { return .done(tally, error) }
                if error.code == .closed { return .done(tally, error) }
                tally.ended(nil)
                show(error, tally.sent)
            }
            if tally.sent == count { break }
            do {
                try await Task.sleep(until: max(ContinuousClock.now, start + interval * tally.sent), clock: .continuous)
            } catch {
                // Interrupted: what was measured is still told.
                break
            }
        }
        return .done(tally, failure ?? CommandFailure(.cancelled, "no ping was answered yet"))
    }

    private func ping() async throws(CommandFailure) -> PingAnswer {
        let milliseconds = max(1, Int(limit / .milliseconds(1)))
        // The node may wait for presences before it asks, right after its login.
        return try await control.ask(limit: limit + .seconds(10), device: device) { [device] in
            try await $0.ping(device, milliseconds: milliseconds)
        }
    }

    private func show(_ answer: PingAnswer, _ number: Int) {
        guard console.json else {
            return console.line("\(answer.jid): seq=\(number) path=\(answer.path) time=\(TimeText.milliseconds(answer.rtt))")
        }
        console.document(
            .object([
                ("ok", .bool(true)), ("seq", .integer(Int64(number))), ("device", .string(device)), ("jid", .string(answer.jid)),
                ("path", .string(answer.path)), ("rtt", .number(PingTally.rounded(answer.rtt))),
            ]))
    }

    private func show(_ failure: CommandFailure, _ number: Int) {
        guard console.json else { return console.line("\(device): seq=\(number) \(failure.message)") }
        console.document(failure.json.adding([("seq", .integer(Int64(number)))]))
    }
}
