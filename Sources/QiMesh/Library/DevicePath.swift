/// The way that calls to a device take. A struct over a private enum, so that a new kind breaks no `switch`.
public struct DevicePath: Hashable, Sendable, CustomStringConvertible {
    private enum Kind: String {
        case inBand = "xmpp in-band"
    }

    private let kind: Kind
    /// How long one call took, there and back.
    public let roundTrip: Duration

    /// An encrypted bytestream through the XMPP server.
    static func inBand(roundTrip: Duration) -> DevicePath { DevicePath(kind: .inBand, roundTrip: roundTrip) }

    /// Whether calls go through the XMPP server, whose limits then hold.
    public var isInBand: Bool { kind == .inBand }

    /// `xmpp in-band, 61 ms`.
    public var description: String {
        let (seconds, attoseconds) = roundTrip.components
        return "\(kind.rawValue), \(seconds * 1_000 + attoseconds / 1_000_000_000_000_000) ms"
    }
}
