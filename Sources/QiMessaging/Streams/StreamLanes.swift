import DequeModule
import NIOCore
import QiWire

/// Messages that wait for their turn on a device stream, in lanes.
///
/// Control goes first. The other priorities share the path by their weights, so that none starves: each has a clock that runs by the bytes
/// it sent over its weight, and the one that is behind goes next; one that had nothing to send does not catch up. Lanes of one priority
/// take turns, a piece each, and the clients that they are of first (``StreamTurns``). What the peer has to keep of messages that have
/// begun is bounded: others wait until one of them has ended, unless they fit into one piece.
///
/// An event whose subscription allows it takes the place of an earlier one of its signal that waits, and of which nothing has left, unless
/// an answer to a subscription to the object came in between: so a signal has its turn however quickly it is raised. Its order against
/// other signals of the object is given up. It tells how many were left out. A pure value.
struct StreamLanes {
    /// A message of which more than this is left is bulk.
    static let bulk = 16 * 1024
    /// Messages that may have begun and not ended, and their bytes beside the longest: less than any peer takes (``StreamReceiver``).
    static let mostBegun = 512
    static let mostBegunBytes = 8 << 20

    private struct Lane {
        var messages = Deque<StreamMessage>()
        /// The ring it stands in.
        var priority: StreamPriority

        /// Where the message with that serial is; serials rise along a lane.
        func index(of serial: UInt64) -> Int? {
            var (low, high) = (0, messages.count)
            while low < high {
                let middle = (low + high) / 2
                if messages[middle].serial < serial { low = middle + 1 } else { high = middle }
            }
            return low < messages.count && messages[low].serial == serial ? low : nil
        }
    }

    private struct Ring {
        var turns = StreamTurns()
        var clock = 0.0
    }

    private var lanes: [StreamLane: Lane] = [:]
    private var rings = StreamPriority.allCases.map { _ in Ring() }
    private var nextNumber: UInt32 = 0
    /// The clock of the ring that was served last, before: one that comes from idle begins here.
    private var virtual = 0.0
    /// Lengths of the messages that have begun, by number.
    private var begun: [UInt32: Int] = [:]
    private var begunBytes = 0
    /// Events that wait, and that a later one may take the place of: of each signal the last.
    private var replaceable: [ActionAddress: (serial: UInt64, bytes: Int)] = [:]
    /// Calls that wait, by their ids.
    private var calls: [UInt32: (lane: StreamLane, serial: UInt64)] = [:]
    /// Lanes whose next message may not begin yet.
    private var waiting: [StreamLane] = []
    /// Bytes that wait.
    private(set) var bytes = 0
    /// Those of them that are events.
    private(set) var eventBytes = 0
    /// Bytes of the longest message that waits, or that was the longest of those that waited with others.
    private(set) var largest = 0

    var isEmpty: Bool { bytes == 0 }

    /// Queues a message. Its serial: that of an earlier one, if it takes its place.
    mutating func append(_ message: StreamMessage) -> UInt64 {
        let name = StreamLane(message.header, client: message.client)
        if message.header.kind == .event {
            if let serial = replace(by: message, in: name) { return serial }
        } else if message.header.confirmsSubscription {
            // No later event of the object may stand before it.
            replaceable = replaceable.filter { $0.key.target != message.header.address.target }
        }
        count(message, message.bytes.count)
        if message.header.kind == .call { calls[message.header.id] = (name, message.serial) }
        if lanes[name]?.messages.append(message) == nil {
            let priority = Self.priority(of: message, in: name)
            lanes[name] = Lane(messages: [message], priority: priority)
            enter(name, priority)
        }
        return message.serial
    }

    /// Queues an event that takes the place of an earlier one: the serial of that one. Nil when there is none, and nothing was queued.
    private mutating func replace(by message: StreamMessage, in name: StreamLane) -> UInt64? {
        let address = message.header.address
        let known = replaceable.removeValue(forKey: address)
        // One that may not be left out is passed by none.
        guard message.isReplaceable else { return nil }
        replaceable[address] = (message.serial, message.bytes.count)
        guard let known, let index = lanes[name]?.index(of: known.serial), var lane = lanes.removeValue(forKey: name) else { return nil }
        let earlier = lane.messages[index]
        count(earlier, -earlier.bytes.count)
        var message = message
        message.leaveOut(earlier)
        message.serial = known.serial
        count(message, message.bytes.count)
        replaceable[address] = (known.serial, message.bytes.count)
        lane.messages[index] = message
        // The lane keeps its turn, also as one of long messages: else one whose events come quickly would never have one.
        lanes[name] = lane
        return known.serial
    }

    /// Bytes of the event that a later one of that signal would take the place of.
    func replaceableBytes(at address: ActionAddress) -> Int { replaceable[address]?.bytes ?? 0 }

    private mutating func leave(_ name: StreamLane, _ priority: StreamPriority) {
        rings[priority.rawValue].turns.remove(name)
        waiting.removeAll { $0 == name }
    }

    private mutating func count(_ message: StreamMessage, _ change: Int) {
        bytes += change
        if message.header.kind == .event { eventBytes += change }
        largest = bytes == 0 ? 0 : max(largest, change)
    }

    private static func priority(of message: StreamMessage, in lane: StreamLane) -> StreamPriority {
        message.bytes.count > bulk ? .bulk : lane.priority
    }

    private mutating func enter(_ lane: StreamLane, _ priority: StreamPriority) {
        if rings[priority.rawValue].turns.isEmpty { rings[priority.rawValue].clock = max(rings[priority.rawValue].clock, virtual) }
        rings[priority.rawValue].turns.append(lane)
    }

    /// Whether a message of that length may begin in pieces.
    private func mayBegin(_ length: Int) -> Bool {
        guard begun.count < Self.mostBegun else { return false }
        return begunBytes + length - max(begun.values.max() ?? 0, length) <= Self.mostBegunBytes
    }

    private mutating func ended(_ number: UInt32) {
        begunBytes -= begun.removeValue(forKey: number) ?? 0
        let lanes = waiting
        waiting = []
        for name in lanes { if let lane = self.lanes[name] { enter(name, lane.priority) } }
    }

    /// A piece that may leave now, at most `most` bytes long, and the serial of the message that ends with it.
    mutating func next(_ most: Int) -> (frame: StreamNumbered, done: UInt64?)? {
        while let priority = turn, let name = rings[priority.rawValue].turns.popFirst() {
            guard let message = lanes[name]?.messages.first else { continue }
            guard message.number != nil || message.bytes.count <= most || mayBegin(message.bytes.count) else {
                waiting.append(name)
                continue
            }
            return send(of: name, priority, most)
        }
        return nil
    }

    private mutating func send(
        of name: StreamLane, _ priority: StreamPriority, _ most: Int
    ) -> (frame: StreamNumbered, done: UInt64?)? {
        // Taken out, so that what waits in it is not copied for each piece.
        guard var lane = lanes.removeValue(forKey: name), var message = lane.messages.popFirst() else { return nil }
        if message.number == nil, replaceable[message.header.address]?.serial == message.serial {
            replaceable[message.header.address] = nil
        }
        let length = message.bytes.count
        let piece = message.bytes.take(most)
        count(message, -piece.count)
        if priority != .control {
            virtual = rings[priority.rawValue].clock
            rings[priority.rawValue].clock += Double(piece.count) / priority.weight
        }
        let isDone = message.bytes.count == 0
        let frame: StreamNumbered
        if let number = message.number {
            frame = .more(number, piece)
        } else if isDone {
            frame = .whole(piece)
        } else {
            message.number = nextNumber
            begun[nextNumber] = length
            begunBytes += length
            frame = .begin(nextNumber, length: UInt32(truncatingIfNeeded: length), piece)
            nextNumber &+= 1
        }
        if isDone { forget(message) } else { lane.messages.prepend(message) }
        goOn(name, &lane)
        if isDone, let number = message.number { ended(number) }
        return (frame, isDone ? message.serial : nil)
    }

    /// A message has left, or is taken back.
    private mutating func forget(_ message: StreamMessage) {
        guard message.header.kind == .call, calls[message.header.id]?.serial == message.serial else { return }
        calls[message.header.id] = nil
    }

    /// Whose turn it is. Control, else the busy ring whose clock is least.
    private var turn: StreamPriority? {
        var best: StreamPriority?
        for priority in StreamPriority.allCases where !rings[priority.rawValue].turns.isEmpty {
            if priority == .control { return .control }
            if let known = best, rings[known.rawValue].clock <= rings[priority.rawValue].clock { continue }
            best = priority
        }
        return best
    }

    /// The lane goes to the end of the ring of what it sends next, or away.
    private mutating func goOn(_ name: StreamLane, _ lane: inout Lane) {
        guard let first = lane.messages.first else { return lanes[name] = nil }
        lane.priority = Self.priority(of: first, in: name)
        lanes[name] = lane
        enter(name, lane.priority)
    }

    /// What was found of a message that is not to be sent any more.
    struct Withdrawn {
        let message: StreamMessage
        /// Tells the peer that the rest of it does not come; nil when nothing of it was sent.
        let drop: StreamNumbered?
    }

    /// Whether a call or post of a client waits.
    func holds(messagesOf client: UInt64) -> Bool {
        let party = StreamParty.client(client)
        return rings.contains { $0.turns.holds(party) } || waiting.contains { $0.party == party }
    }

    /// Whether a message waits in that lane.
    func holds(_ name: StreamLane) -> Bool { lanes[name] != nil }

    /// Takes a call back. Nil when it is not there: all of it was sent.
    mutating func withdraw(callOf id: UInt32, to target: ObjectAddress) -> Withdrawn? {
        guard let (lane, serial) = calls[id], case .calls(target, _) = lane, let index = lanes[lane]?.index(of: serial) else { return nil }
        return withdraw(from: lane, at: index)
    }

    /// Takes a message out of a lane. Nil when it is not there: all of it was sent.
    mutating func withdraw(from name: StreamLane, _ isMeant: (MessageHeader) -> Bool) -> Withdrawn? {
        guard let index = lanes[name]?.messages.firstIndex(where: { isMeant($0.header) }) else { return nil }
        return withdraw(from: name, at: index)
    }

    private mutating func withdraw(from name: StreamLane, at index: Int) -> Withdrawn? {
        // Taken out, so that what waits in it is not copied.
        guard var lane = lanes.removeValue(forKey: name) else { return nil }
        let message = lane.messages.remove(at: index)
        forget(message)
        count(message, -message.bytes.count)
        if index == 0 {
            leave(name, lane.priority)
            goOn(name, &lane)
        } else {
            lanes[name] = lane
        }
        if let number = message.number { ended(number) }
        return Withdrawn(message: message, drop: message.number.map { .drop($0) })
    }

    /// Everything is given up.
    mutating func removeAll() { self = StreamLanes() }
}
