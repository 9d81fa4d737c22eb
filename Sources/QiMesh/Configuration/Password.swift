/// A secret that prints as `[redacted]` wherever it lands by accident: in a log, an interpolated string, a dump or an error.
public struct Password: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let secret: String

    /// Wraps a secret.
    public init(_ secret: String) { self.secret = secret }

    /// The secret itself, for the call that hands it to a server and for nothing else.
    public func reveal() -> String { secret }

    /// `[redacted]`.
    public var description: String { "[redacted]" }
    /// `[redacted]`.
    public var debugDescription: String { description }
    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
