import QiWire

/// Services of a device whose connection was lost: kept under their names and ids for the principal that had them, which may take them up
/// again on another connection. A principal that has proven nothing keeps nothing.
extension DirectoryTable {
    /// The connection of that number is gone, and its owner may come back.
    ///
    /// - Returns: what is kept, that included which was about to be taken up again, and what was not ready yet and goes; both in id order.
    mutating func leave(_ connection: UInt64) -> (kept: [Entry], gone: [Entry]) {
        let own = entries.values.filter { $0.owner == .connection(connection) }.sorted { $0.info.serviceID < $1.info.serviceID }
        let kept = own.filter { ($0.isReady || $0.isKept) && $0.holder.isProven }
        for entry in kept { keep(entry.info.serviceID, of: connection) }
        return (kept, removeAll(of: .connection(connection)))
    }

    /// Whether a service of this name is kept for `holder`.
    func isKept(_ name: String, for holder: Holder) -> Bool {
        guard let entry = entry(named: name), case .away = entry.owner else { return false }
        return entry.holder == holder
    }

    /// How many services are kept for `holder`.
    func kept(for holder: Holder) -> Int {
        entries.values.count { if case .away = $0.owner { $0.holder == holder } else { false } }
    }
}
