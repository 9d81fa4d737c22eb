public import QiMessaging

/// The way that calls to a device take.
public struct DevicePath: Hashable, Sendable, CustomStringConvertible {
    public let kind: PathKind
    /// How long one call took, there and back.
    public let roundTrip: Duration

    /// Whether calls go through the XMPP server, whose limits then hold.
    public var isInBand: Bool { kind == .inBand }

    /// `xmpp in-band, 61 ms`.
    public var description: String {
        let (seconds, attoseconds) = roundTrip.components
        let words = [kind.carrier?.lowercased(), kind.name].compactMap { $0 }
        return "\(words.joined(separator: " ")), \(seconds * 1_000 + attoseconds / 1_000_000_000_000_000) ms"
    }
}
