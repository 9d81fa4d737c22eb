import Logging
import Synchronization

/// Keeps what was logged: `warning directory lost qi.endpoint=tcp://…`, the metadata in the order of its keys.
final class RecordedLog: Sendable {
    private let kept = Mutex<[String]>([])

    var lines: [String] { kept.withLock { $0 } }

    /// How many lines hold all of `parts`.
    func count(_ parts: String...) -> Int { lines.count { line in parts.allSatisfy { line.contains($0) } } }

    var logger: Logger { Logger(label: "recorded") { _ in Handler(log: self) } }

    private func keep(_ line: String) { kept.withLock { $0.append(line) } }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var logLevel = Logger.Level.info
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
