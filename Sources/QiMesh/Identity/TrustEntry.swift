public import Foundation

/// A key that is pinned to a JID.
public struct TrustEntry: Hashable, Sendable {
    /// The bare JID of the device's account.
    public var jid: String
    /// The only key that account may show.
    public var key: KeyFingerprint
    /// When the key was pinned; to the second.
    public var firstSeen: Date
    /// When the key was last shown; to the hour.
    public var lastSeen: Date
}
