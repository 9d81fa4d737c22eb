import NIOCore
import QiWire

extension MessageFlags {
    /// On a call of `registerEvent`: only the last event of this subscription counts. On an event, over a device stream: a later one of its
    /// signal may take its place while nothing of it has left. Sent to a peer that announced `Capabilities.Name.eventGaps` only.
    static let latest = MessageFlags(rawValue: 0x40)
    /// On an event: its payload begins with the number of events of its signal that were left out before it (``EventGap``). Sent to a peer
    /// that announced `Capabilities.Name.eventGaps` only.
    static let gap = MessageFlags(rawValue: 0x20)
}

/// How many events of a signal were left out before one that is sent: 4 bytes, little-endian as all of the qi protocol, before its payload.
enum EventGap {
    static let length = 4

    /// Takes the number off a payload that has one; nil when it is too short.
    static func take(from payload: inout ByteBuffer) -> Int? {
        payload.readInteger(endianness: .little, as: UInt32.self).map(Int.init)
    }

    /// The number as bytes; the most that there is room for, if it is more.
    static func bytes(_ missed: Int) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(UInt32(clamping: missed), endianness: .little)
        return bytes
    }

    /// The sum of two numbers that a peer may have chosen.
    static func sum(_ one: Int, _ other: Int) -> Int { one.addingReportingOverflow(other).overflow ? .max : one + other }
}

extension StreamMessage {
    /// Bytes of an event beyond which it waits for its turn as any other: one that long is no reading of a sensor.
    private static let mostReplaceable = 1 << 20

    /// Whether it may give its place to a later event of its signal, and take that of an earlier one.
    var isReplaceable: Bool { header.kind == .event && header.flags.contains(.latest) && bytes.count <= Self.mostReplaceable }

    /// Takes the place of an earlier event of its signal, and tells that it was left out.
    mutating func leaveOut(_ earlier: StreamMessage) {
        var payload = bytes
        _ = payload.take(MessageHeader.length)
        var missed = 1
        if let gap = earlier.gap { missed = EventGap.sum(missed, gap) }
        if let gap {
            missed = EventGap.sum(missed, gap)
            _ = payload.take(EventGap.length)
        }
        header.flags.insert(.gap)
        header.payloadLength = UInt32(clamping: payload.count + EventGap.length)
        var head = ByteBuffer()
        head.writeMessage(header, payload: EventGap.bytes(missed))
        bytes = StreamBytes(head, payload.joined)
    }

    /// The number of those that were left out before it, as it tells; nil when it tells none.
    private var gap: Int? {
        guard header.flags.contains(.gap) else { return nil }
        var rest = bytes
        _ = rest.take(MessageHeader.length)
        var first = rest.take(EventGap.length).joined
        return EventGap.take(from: &first)
    }
}
