import Foundation
import Logging
import NIOPosix
import QiMessaging
import Synchronization

/// Writes audit records to their files. Records are taken on any thread at once and written by ``run()``, in order; when the disk is
/// slower than they come, the newest are dropped and counted, and the count is written down as soon as that is possible. Denials that
/// repeat are counted, too (``AuditRepeats``). Every ``AuditShelf`` has queue, counters and files of its own.
final class AuditLog: AuditSink {
    private struct Shelf {
        var waiting: [AuditLine] = []
        var dropped = 0
        var repeats = AuditRepeats()

        mutating func take(_ lines: [AuditLine]) {
            let taken = lines.prefix(max(0, AuditLog.queueLimit - waiting.count))
            waiting += taken
            dropped += lines.count - taken.count
        }
    }

    private struct State {
        var settings = AuditSettings()
        private var known = Shelf()
        private var calls = Shelf()
        private var changes = Shelf()
        private var strangers = Shelf()

        subscript(_ shelf: AuditShelf) -> Shelf {
            get {
                switch shelf {
                case .known: known
                case .calls: calls
                case .changes: changes
                case .strangers: strangers
                }
            }
            _modify {
                switch shelf {
                case .known: yield &known
                case .calls: yield &calls
                case .changes: yield &changes
                case .strangers: yield &strangers
                }
            }
        }

        var nextEnd: Date? { AuditShelf.allCases.compactMap { self[$0].repeats.nextEnd }.min() }
    }

    private let state = Mutex(State())
    private let wake = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    /// Something is counted that is to be written down later.
    private let counting = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let files: [(shelf: AuditShelf, file: AuditFileBox)]
    private let logger: Logger

    /// Records that may wait for the disk.
    private static let queueLimit = 4096

    /// - Parameter path: the file for denials of those who are known; the others are beside it.
    init(file path: String, logger: Logger) {
        files = AuditShelf.allCases.map { ($0, AuditFileBox(AuditFile($0.file(beside: path)))) }
        self.logger = logger
    }

    func configure(_ settings: AuditSettings) { state.withLock { $0.settings = settings } }

    func record(_ record: AuditRecord) {
        // Cut before it waits: records that wait are in memory.
        let line = AuditLine(time: Date(), record: AuditLine.bounded(record))
        let shelf = AuditShelf(record)
        let (isNew, isCounted) = state.withLock { state in
            let lines = state[shelf].repeats.lines(for: line)
            state[shelf].take(lines)
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
        state.withLock { state in
            for shelf in AuditShelf.allCases { state[shelf].take(state[shelf].repeats.finish()) }
        }
        await writeWaiting()
        for entry in files { entry.file.close() }
    }

    /// Has what was counted written down when its time is over. Sleeps only while something is.
    private func endWindows() async {
        for await _ in counting.stream {
            while let end = state.withLock({ $0.nextEnd }) {
                do { try await Task.sleep(for: .seconds(min(max(end.timeIntervalSinceNow, 0.1), AuditRepeats.windowLength))) } catch { return }
                let now = Date()
                state.withLock { state in
                    for shelf in AuditShelf.allCases { state[shelf].take(state[shelf].repeats.expired(at: now)) }
                }
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
        for entry in files { await write(entry.shelf, to: entry.file) }
    }

    private func write(_ shelf: AuditShelf, to file: AuditFileBox) async {
        let (lines, settings) = state.withLock { state in
            defer { (state[shelf].waiting, state[shelf].dropped) = ([], 0) }
            return (state[shelf].waiting + Self.note(of: state[shelf].dropped), state.settings)
        }
        guard !lines.isEmpty else { return }
        do {
            // A disk may take its time: not on a thread that others need.
            try await NIOThreadPool.singleton.runIfActive { try file.append(lines, settings) }
        } catch {
            state.withLock { $0[shelf].dropped += lines.count }
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

/// One file, used by whichever thread writes.
private final class AuditFileBox: Sendable {
    private let file: Mutex<AuditFile>

    init(_ file: sending AuditFile) { self.file = Mutex(file) }

    func append(_ lines: [AuditLine], _ settings: AuditSettings) throws {
        try file.withLock { file in
            file.settings = settings
            try file.append(lines.map { try $0.encoded() })
        }
    }

    func close() { file.withLock { $0.close() } }
}
