import DequeModule
import QiWire

/// Who takes turns on a stream: each client whose calls pass it, and the peer, for what answers it.
enum StreamParty: Hashable {
    case client(UInt64)
    case peer
}

/// Lanes in the order of their turns: parties take turns, and the lanes of one party among themselves, so that one with many lanes has no
/// more than one with one. A pure value.
struct StreamTurns {
    private var parties = Deque<StreamParty>()
    /// Those that wait of each party; none is empty.
    private var lanes: [StreamParty: Deque<StreamLane>] = [:]

    var isEmpty: Bool { parties.isEmpty }

    /// Whether a lane of that party waits for its turn.
    func holds(_ party: StreamParty) -> Bool { lanes[party] != nil }

    /// The lane is the last one of its party, and that the last one if it has no other.
    mutating func append(_ lane: StreamLane) {
        let party = lane.party
        if lanes[party] == nil { parties.append(party) }
        lanes[party, default: []].append(lane)
    }

    /// Takes out the lane whose turn it is.
    mutating func popFirst() -> StreamLane? {
        guard let party = parties.popFirst(), let lane = lanes[party]?.popFirst() else { return nil }
        if lanes[party]?.isEmpty == true { lanes[party] = nil } else { parties.append(party) }
        return lane
    }

    mutating func remove(_ lane: StreamLane) {
        let party = lane.party
        lanes[party]?.removeAll { $0 == lane }
        guard lanes[party]?.isEmpty == true else { return }
        lanes[party] = nil
        parties.removeAll { $0 == party }
    }
}

/// Which client each call and post is from that a connection writes to its stream, by the id of the message. A pure value.
struct StreamClients {
    private var clients: [UInt32: UInt64] = [:]

    /// The call or post of that id, which is written next, is of this client; 0: of this process.
    mutating func note(_ client: UInt64, of id: UInt32) {
        if client != 0 { clients[id] = client }
    }

    /// Whom a message is from.
    mutating func take(_ header: MessageHeader) -> UInt64 {
        guard header.kind == .call || header.kind == .post, !clients.isEmpty else { return 0 }
        return clients.removeValue(forKey: header.id) ?? 0
    }
}
