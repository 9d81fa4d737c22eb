import Foundation
import QiMessaging

/// Which denials are written down one by one, and which are only counted: of those that differ in nothing but their target the first
/// few of a minute get a line each, and all others together one line with their number. Else a caller that is let in nowhere could push
/// out what was written before, by guessing. Those who have proven nothing are told apart by where they come from: their names are
/// inventions, of which there is no end.
struct AuditRepeats: Sendable {
    private struct Key: Hashable {
        var event: String
        /// Who it is, or where it came from; nil for all those for whom there was no room.
        var asker: String?
        var rule: Int?
        var access: String
        var zone: Zone
    }

    private struct Window {
        var end: Date
        var lines = 0
        /// How many were not written, and the last of them.
        var counted = 0
        var last: AuditLine
    }

    private var windows: [Key: Window] = [:]
    /// Before it no window is over.
    private var earliest = Date.distantFuture

    static let windowLength: TimeInterval = 60
    /// Lines of one kind in a window.
    static let lineLimit = 10
    /// Kinds at a time; what comes beyond is of one kind.
    static let windowLimit = 1024

    /// What to write when a record comes: itself, and what is due before it.
    mutating func lines(for line: AuditLine) -> [AuditLine] {
        // Changes, and calls that somebody wants to see all of, are written each.
        guard !line.record.isAllowed else { return [line] }
        var due = expired(at: line.time)
        let record = line.record
        var key = Key(
            event: record.event, asker: record.place ?? record.principal, rule: record.rule, access: record.access, zone: record.zone)
        if windows[key] == nil, windows.count >= Self.windowLimit { (key.asker, key.rule) = (nil, nil) }
        var window = windows[key] ?? Window(end: line.time + Self.windowLength, last: line)
        earliest = min(earliest, window.end)
        if window.lines < Self.lineLimit {
            window.lines += 1
            due.append(line)
        } else {
            window.counted += 1
            window.last = line
        }
        windows[key] = window
        return due
    }

    /// When the next of the counted ones is to be written down; nil when there are none.
    var nextEnd: Date? { windows.values.lazy.filter { $0.counted > 0 }.map(\.end).min() }

    /// The numbers of the windows that are over.
    mutating func expired(at now: Date) -> [AuditLine] {
        // A clock that was set back makes no window longer.
        func isOver(_ end: Date) -> Bool { now >= end || now < end - 2 * Self.windowLength }
        return isOver(earliest) && !windows.isEmpty ? end { isOver($0.end) } : []
    }

    /// All numbers: nothing more comes.
    mutating func finish() -> [AuditLine] { end { _ in true } }

    private mutating func end(where isOver: (Window) -> Bool) -> [AuditLine] {
        var lines: [AuditLine] = []
        for (key, window) in windows where isOver(window) {
            windows[key] = nil
            guard window.counted > 0 else { continue }
            var line = window.last
            line.count = window.counted
            let others = key.asker == nil ? " of many callers" : ""
            line.record.detail = "\(window.counted) more of this kind\(others) within a minute; this is the last"
            lines.append(line)
        }
        earliest = windows.values.lazy.map(\.end).min() ?? .distantFuture
        return lines.sorted { $0.time < $1.time }
    }
}
