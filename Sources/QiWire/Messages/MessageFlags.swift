/// The flags of a message (reference §4). To be used only toward a peer that advertised `MessageFlags`; other bits are ignored.
public struct MessageFlags: OptionSet, Hashable, Sendable {
    /// The byte of the header.
    public var rawValue: UInt8

    /// Any byte is a set of flags.
    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The payload is one dynamic, whose value has the shape that the declared signature should have.
    @inlinable public static var dynamicPayload: MessageFlags { MessageFlags(rawValue: 1) }
    /// The payload ends with a signature as string: the type that the caller wants returned.
    @inlinable public static var returnType: MessageFlags { MessageFlags(rawValue: 2) }
}
