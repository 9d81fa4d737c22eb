/// What somebody wants to do with a member of a service, or with a service's name.
public enum Access: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// Call a method, or post to it.
    case call
    /// Listen to a signal, or to the changes of a property.
    case subscribe
    /// Read a property.
    case read
    /// Write a property.
    case write
    /// Raise a signal by posting to it (wire reference §14).
    case emit
    /// Host a service under a name.
    case register

    public var description: String { rawValue }

    /// As in "may not … ALMotion.moveTo".
    var phrase: String {
        switch self {
        case .subscribe: "subscribe to"
        default: rawValue
        }
    }
}
