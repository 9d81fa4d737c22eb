/// The type of a message (reference §3). Unknown ones are kept: they are ignored, not refused.
public struct MessageKind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The byte of the header.
    public var rawValue: UInt8

    /// Any byte is a kind.
    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// 0, ignored when received.
    public static let none = MessageKind(rawValue: 0)
    /// 1, wants exactly one reply, error or canceled.
    public static let call = MessageKind(rawValue: 1)
    /// 2, the value that a call returned.
    public static let reply = MessageKind(rawValue: 2)
    /// 3, a dynamic holding the text of a failure.
    public static let error = MessageKind(rawValue: 3)
    /// 4, a call or emission without answer.
    public static let post = MessageKind(rawValue: 4)
    /// 5, a signal's emission.
    public static let event = MessageKind(rawValue: 5)
    /// 6, a capability map.
    public static let capability = MessageKind(rawValue: 6)
    /// 7, asks that the call whose id is the payload be canceled.
    public static let cancel = MessageKind(rawValue: 7)
    /// 8, the answer of a canceled call.
    public static let canceled = MessageKind(rawValue: 8)

    /// Whether this is one of the kinds above.
    @inlinable
    public var isKnown: Bool { rawValue <= 8 }

    /// libqi's name, for logs.
    public var description: String {
        let names = ["None", "Call", "Reply", "Error", "Post", "Event", "Capability", "Cancel", "Canceled"]
        return isKnown ? names[Int(rawValue)] : "Unknown(\(rawValue))"
    }
}
