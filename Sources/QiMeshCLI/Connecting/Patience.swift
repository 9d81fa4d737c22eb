import Foundation
import QiMesh

/// How long a command waits for each of its steps, and what it shows meanwhile.
struct Patience: Sendable {
    /// What the user set, nil for the defaults.
    var limit: Duration?
    /// When all steps together have to be done; nil where each has its own time.
    private(set) var end: ContinuousClock.Instant?

    init(limit: Duration? = nil) { self.limit = limit }

    /// For an answer of something near or already connected.
    var answer: Duration { shortened(limit ?? .seconds(10)) }
    /// For reaching a device: a tunnel may have to be set up first.
    var device: Duration { shortened(limit ?? .seconds(30)) }

    /// For steps that from now on together take no longer than the longest of them may.
    func forAllSteps() -> Patience {
        var patience = self
        patience.end = ContinuousClock.now + device
        return patience
    }

    private func shortened(_ duration: Duration) -> Duration {
        // What is late already still fails as late, in the usual way.
        end.map { min(duration, max($0 - ContinuousClock.now, .milliseconds(1))) } ?? duration
    }

    private enum Outcome<Value: Sendable>: Sendable {
        case done(Result<Value, CommandFailure>)
        case late
        case stopped
    }

    /// Waits for `body`, after 0.3 s visibly.
    ///
    /// A step that is late ends the process, for what it waits in may take no notice of cancellation.
    /// - Parameters:
    ///   - what: what is waited for, as in "waiting for …".
    ///   - limit: the longest; a little more is given, so that a deadline further down, which knows more, speaks first.
    func wait<Value: Sendable>(
        for what: String, atMost limit: Duration, device: String? = nil, _ console: Console,
        _ body: @escaping @Sendable () async throws(CommandFailure) -> Value
    ) async throws(CommandFailure) -> Value {
        let outcome = await withTaskGroup(of: Outcome<Value>.self) { group in
            group.addTask {
                do throws(CommandFailure) { return .done(.success(try await body())) } catch { return .done(.failure(error)) }
            }
            group.addTask { await Self.clock(what, limit + .milliseconds(250), console) }
            while let outcome = await group.next() {
                switch outcome {
                case .done:
                    group.cancelAll()
                    return outcome
                case .late:
                    let message = "timed out after \(TimeText.seconds(limit)) waiting for \(what)"
                    console.failure(CommandFailure(.timedOut, message, device: device))
                    exit(CommandFailure.Code.timedOut.exitStatus)
                case .stopped: continue
                }
            }
            return .stopped
        }
        guard case .done(let result) = outcome else { throw CommandFailure(.cancelled, "gave up waiting for \(what)") }
        return try result.get()
    }

    /// Counts the time on a terminal until it is up or the task is cancelled.
    private static func clock<Value>(_ what: String, _ limit: Duration, _ console: Console) async -> Outcome<Value> {
        let start = ContinuousClock.now
        let shows = console.isTerminal.errors && !console.quiet && !console.json
        var hasShown = false
        // Whatever is said next begins on a clean line.
        defer { if hasShown { console.progress("") } }
        do {
            if shows {
                try await Task.sleep(for: min(.milliseconds(300), limit))
                while ContinuousClock.now - start < limit {
                    let seconds = TimeText.inSeconds(ContinuousClock.now - start)
                    hasShown = true
                    console.progress("waiting for \(what) … \((seconds * 10).rounded() / 10)s")
                    try await Task.sleep(for: .milliseconds(100))
                }
            } else {
                try await Task.sleep(for: limit)
            }
            return .late
        } catch {
            // Cancelled: the answer came first.
            return .stopped
        }
    }
}
