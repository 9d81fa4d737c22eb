public import Foundation

/// The last key that a JID showed and was refused for.
public struct RefusedKey: Hashable, Sendable {
    /// The bare JID of the account that showed it.
    public var jid: String
    /// The key, which the peer had not proved to hold when it was refused.
    public var key: KeyFingerprint
    /// When it was shown first; to the second.
    public var date: Date
}
