import Logging
import Synchronization

/// Keeps what was logged: `warning directory lost qi.endpoint=tcp://…`, the metadata in the order of its keys.
final class RecordedLog: Sendable {
    private struct State {
        var lines: [String] = []
        var watchers: [AsyncStream<Void>.Continuation] = []
    }

    private let level: Logger.Level
    private let state = Mutex(State())

    init(level: Logger.Level = .info) { self.level = level }

    var lines: [String] { state.withLock { $0.lines } }

    /// How many lines hold all of `parts`.
    func count(_ parts: String...) -> Int { count(parts) }

    private func count(_ parts: [String]) -> Int { lines.count { line in parts.allSatisfy { line.contains($0) } } }

    /// Returns when so many lines hold all of `parts`, or the task is cancelled.
    func wait(for parts: String..., count: Int = 1) async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.watchers.append(continuation) }
        continuation.yield()
        for await _ in stream where self.count(parts) >= count { return }
    }

    var logger: Logger { Logger(label: "recorded") { _ in Handler(log: self, logLevel: self.level) } }

    private func keep(_ line: String) {
        let watchers = state.withLock { state in
            state.lines.append(line)
            return state.watchers
        }
        for watcher in watchers { watcher.yield() }
    }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var logLevel: Logger.Level
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let values = (event.metadata ?? [:]).map { "\($0.key)=\($0.value)" }.sorted()
            log.keep((["\(event.level)", "\(event.message)"] + values).joined(separator: " "))
        }
    }
}
