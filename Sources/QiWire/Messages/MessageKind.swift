/// The type of a message (reference §3). Unknown ones are kept: they are ignored, not refused.
public struct MessageKind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The byte of the header.
    public var rawValue: UInt8

    /// Any byte is a kind.
    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// 0, ignored when received.
    @inlinable public static var none: MessageKind { MessageKind(rawValue: 0) }
    /// 1, wants exactly one reply, error or canceled.
    @inlinable public static var call: MessageKind { MessageKind(rawValue: 1) }
    /// 2, the value that a call returned.
    @inlinable public static var reply: MessageKind { MessageKind(rawValue: 2) }
    /// 3, a dynamic holding the text of a failure.
    @inlinable public static var error: MessageKind { MessageKind(rawValue: 3) }
    /// 4, a call or emission without answer.
    @inlinable public static var post: MessageKind { MessageKind(rawValue: 4) }
    /// 5, a signal's emission.
    @inlinable public static var event: MessageKind { MessageKind(rawValue: 5) }
    /// 6, a capability map.
    @inlinable public static var capability: MessageKind { MessageKind(rawValue: 6) }
    /// 7, asks that the call whose id is the payload be canceled.
    @inlinable public static var cancel: MessageKind { MessageKind(rawValue: 7) }
    /// 8, the answer of a canceled call.
    @inlinable public static var canceled: MessageKind { MessageKind(rawValue: 8) }

    /// Whether this is one of the kinds above.
    @inlinable
    public var isKnown: Bool { rawValue <= 8 }

    /// libqi's name, for logs.
    public var description: String {
        let names = ["None", "Call", "Reply", "Error", "Post", "Event", "Capability", "Cancel", "Canceled"]
        return isKnown ? names[Int(rawValue)] : "Unknown(\(rawValue))"
    }
}
