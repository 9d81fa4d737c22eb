import Foundation
import Logging
import NIOPosix
import QiMessaging
import Synchronization

/// Writes audit records to their file. Records are taken on any thread at once and written by ``run()``, in order; when the disk is
/// slower than they come, the newest are dropped and counted, and the count is written down as soon as that is possible. Denials that
/// repeat are counted, too (``AuditRepeats``).
final class AuditLog: AuditSink {
    private struct State {
        var settings = AuditSettings()
        var waiting: [AuditLine] = []
        var dropped = 0
        var repeats = AuditRepeats()

        mutating func take(_ lines: [AuditLine]) {
            let taken = lines.prefix(max(0, AuditLog.queueLimit - waiting.count))
            waiting += taken
            dropped += lines.count - taken.count
        }
    }

    private let state = Mutex(State())
    private let wake = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    /// Something is counted that is to be written down later.
    private let counting = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let file: Mutex<AuditFile>
    private let logger: Logger

    /// Records that may wait for the disk.
    private static let queueLimit = 4096

    init(file path: String, logger: Logger) {
        file = Mutex(AuditFile(path))
        self.logger = logger
    }

    func configure(_ settings: AuditSettings) { state.withLock { $0.settings = settings } }

    func record(_ record: AuditRecord) {
        let line = AuditLine(time: Date(), record: record)
        let (isNew, isCounted) = state.withLock { state in
            let lines = state.repeats.lines(for: line)
            state.take(lines)
            return (!lines.isEmpty, lines.last != line)
        }
        if isNew { wake.continuation.yield() }
        if isCounted { counting.continuation.yield() }
    }

    /// No more records come: ``run()`` returns when those that wait are written.
    func finish() { wake.continuation.finish() }

    /// Writes until ``finish()``.
    func run() async {
        await withTaskGroup { group in
            group.addTask { [self] in await endWindows() }
            for await _ in wake.stream { await writeWaiting() }
            group.cancelAll()
        }
        state.withLock { $0.take($0.repeats.finish()) }
        await writeWaiting()
        file.withLock { $0.close() }
    }

    /// Has what was counted written down when its time is over. Sleeps only while something is.
    private func endWindows() async {
        for await _ in counting.stream {
            while let end = state.withLock({ $0.repeats.nextEnd }) {
                do { try await Task.sleep(for: .seconds(min(max(end.timeIntervalSinceNow, 0.1), AuditRepeats.windowLength))) } catch { return }
                state.withLock { $0.take($0.repeats.expired(at: Date())) }
                wake.continuation.yield()
            }
        }
    }

    /// Runs `body` while records are written, and writes what is left when it has ended.
    func whileWriting<Result>(_ body: () async throws -> Result) async throws -> Result {
        try await withThrowingTaskGroup { group in
            group.addTask { [self] in await run() }
            let result: Swift.Result<Result, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            finish()
            try await group.waitForAll()
            return try result.get()
        }
    }

    private func writeWaiting() async {
        let (lines, settings) = state.withLock { state in
            defer { (state.waiting, state.dropped) = ([], 0) }
            return (state.waiting + Self.note(of: state.dropped), state.settings)
        }
        guard !lines.isEmpty else { return }
        do {
            // A disk may take its time: not on a thread that others need.
            try await NIOThreadPool.singleton.runIfActive { [self] in
                try file.withLock { file in
                    file.settings = settings
                    try file.append(lines.map { try $0.encoded() })
                }
            }
        } catch {
            state.withLock { $0.dropped += lines.count }
            logger.error("audit not written", metadata: ["error": "\(error)"])
        }
    }

    private static func note(of dropped: Int) -> [AuditLine] {
        guard dropped > 0 else { return [] }
        let record = AuditRecord(
            event: "dropped", principal: "node", zone: .internal, target: "audit", access: "record", isAllowed: false, path: "node",
            detail: "\(dropped) records came faster than they could be written")
        return [AuditLine(time: Date(), record: record)]
    }
}
