import NIOCore

/// Which connections of contacts were heard lately, as a value: of each, one sign of life a second is told. Time comes in with the events.
struct LifeSigns {
    private var told: [JID: NIODeadline] = [:]
    /// Connections that are remembered; beyond it all are forgotten, which costs a sign more of each.
    private let limit: Int

    private static let pause: TimeAmount = .seconds(1)

    init(limit: Int) { self.limit = limit }

    /// Whether a stanza of that connection is worth telling: none has been within the last second.
    func isNews(from connection: JID, at now: NIODeadline) -> Bool { told[connection].map { now - $0 >= Self.pause } ?? true }

    /// A sign of life of that connection was told.
    mutating func told(_ connection: JID, at now: NIODeadline) {
        if told.count >= limit, told[connection] == nil { told.removeAll(keepingCapacity: true) }
        told[connection] = now
    }
}
