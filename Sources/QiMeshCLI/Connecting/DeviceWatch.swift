import Foundation
import QiMesh

/// Prints the devices, and each again when something about it has changed, until the node or the reader goes.
struct DeviceWatch: Sendable {
    let control: ControlInterface
    let console: Console

    /// How long the node waits for a change before it answers all the same, in seconds.
    private static let patience = 30

    /// - Throws: as any question to the node.
    func run() async throws(CommandFailure) {
        var fold = DeviceRowFold()
        var version: String?
        while true {
            let listing = try await control.ask(limit: .seconds(Self.patience + 10)) { [version] in
                try await $0.watchDevices(since: version, seconds: Self.patience)
            }
            version = listing.version
            let changes = fold.changes(to: listing.devices)
            for (row, isGone) in changes { show(row, isGone) }
        }
    }

    private func show(_ row: DeviceRow, _ isGone: Bool) {
        let now = Date()
        guard console.json else { return console.line("\(ClockText.text(now))  \(Self.text(row, isGone))") }
        let time = (now.timeIntervalSince1970 * 1_000).rounded() / 1_000
        console.document(.object([("time", .number(time)), ("removed", .bool(isGone)), ("device", JSONValue(control: row))]))
    }

    /// `pepper  online  in-band  61 ms  NAO V6`.
    static func text(_ row: DeviceRow, _ isGone: Bool) -> String {
        let name = Printable.line(row.name.isEmpty ? row.jid : row.name)
        guard !isGone else { return "\(name)  is no contact any more" }
        let rtt = row.state == "online" ? row.rtt.map(TimeText.milliseconds) : nil
        let parts = [name, row.state, row.path, rtt, row.model, row.note.map { "(\($0))" }]
        return parts.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "  ")
    }
}

/// Turns looks at the devices into what is worth a line: those that are new or differ in more than times, then those that are gone.
struct DeviceRowFold {
    private var known: [String: DeviceRow] = [:]

    mutating func changes(to rows: [DeviceRow]) -> [(row: DeviceRow, isGone: Bool)] {
        let before = known
        known = [:]
        for row in rows { known[Self.id(row)] = row }
        let changed = rows.filter { row in before[Self.id(row)].map { Self.essence($0) != Self.essence(row) } ?? true }
        let gone = before.filter { known[$0.key] == nil }.sorted { $0.key < $1.key }
        return changed.map { ($0, false) } + gone.map { ($0.value, true) }
    }

    private static func id(_ row: DeviceRow) -> String { "\(row.account) \(row.jid)" }

    /// A row without what differs at every look.
    private static func essence(_ row: DeviceRow) -> DeviceRow {
        var row = row
        (row.rtt, row.lastSeen, row.staleSince) = (nil, nil, nil)
        return row
    }
}
