/// Which services of one directory here are registered with a device, and under which ids there. Pure: no clock, no connection.
///
/// ```
///   entered ──▶ pending ── readied ──▶ up ◀──── registered ──┐
///                  │                   │ └─ lost, dropped ─▶ missing
///                  └───────────────────┴───────── left ──────┘
/// ```
/// A missing service is to be registered again, under the id that it had.
struct HostingTable {
    /// An id that a device gave, and the number of the connection on which it did: on another one it means nothing.
    struct Place: Equatable {
        let id: UInt32
        let connection: UInt64
    }

    struct Entry: Equatable {
        let name: String
        /// Where it is registered; nil while it is missing.
        fileprivate(set) var place: Place?
        /// The id it had there last.
        fileprivate(set) var lastID: UInt32
        fileprivate(set) var isReady = false
    }

    /// By the id here.
    private(set) var entries: [UInt32: Entry] = [:]
    private var ids: [String: UInt32] = [:]

    var isEmpty: Bool { entries.isEmpty }

    /// The device has taken in the service that has `id` here, not ready yet.
    mutating func entered(_ id: UInt32, _ name: String, at place: Place) {
        entries[id] = Entry(name: name, place: place, lastID: place.id)
        ids[name] = id
    }

    /// The device shows it. False when it has gone here, or there, meanwhile.
    mutating func readied(_ id: UInt32, at place: Place) -> Bool {
        guard entries[id]?.place == place else { return false }
        entries[id]?.isReady = true
        return true
    }

    /// The service has gone here: where it is to be taken away.
    mutating func left(_ id: UInt32) -> Place? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        ids[entry.name] = nil
        return entry.place
    }

    /// The connection is gone. The names of what was up on it; what was not ready yet stays without a place.
    mutating func lost(_ connection: UInt64) -> [String] {
        let gone = entries.filter { $0.value.place?.connection == connection }
        for id in gone.keys { entries[id]?.place = nil }
        return gone.values.filter(\.isReady).map(\.name).sorted()
    }

    /// The device has removed what has `id` there: the id here, of one that it was to keep.
    mutating func dropped(_ id: UInt32, on connection: UInt64) -> UInt32? {
        guard let own = own(Place(id: id, connection: connection)), entries[own]?.isReady == true else { return nil }
        entries[own]?.place = nil
        return own
    }

    /// What is to be registered on a new connection, in the order of the ids here.
    var missing: [UInt32] { entries.filter { $0.value.isReady && $0.value.place == nil }.keys.sorted() }

    func isMissing(_ id: UInt32) -> Bool { entries[id].map { $0.isReady && $0.place == nil } ?? false }

    /// It is registered again. False when it has gone meanwhile.
    mutating func registered(_ id: UInt32, at place: Place) -> Bool {
        guard isMissing(id) else { return false }
        entries[id]?.place = place
        entries[id]?.lastID = place.id
        return true
    }

    /// The id here of what the device calls so.
    func own(_ place: Place) -> UInt32? { entries.first { $0.value.place == place }?.key }

    /// Whether a service of this name is hosted from here.
    func hosts(_ name: String) -> Bool { ids[name] != nil }
}
