/// What the other side of a device stream did against its rules. The stream is of no use afterwards.
struct StreamFault: Error, Hashable, CustomStringConvertible {
    /// What it was, for logs and for the peer: `it confirms frame 12 of 7 that were sent`.
    let description: String

    init(_ description: String) { self.description = description }
}
