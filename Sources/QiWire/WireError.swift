/// A failure to read, write, convert or interpret something of the qi wire protocol.
///
/// `code` is for programs, `message` says what happened and, where the reader can do something about it, what to do.
public struct WireError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure. A struct over a private enum, so that a new code breaks nobody's `switch`.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String, Sendable {
            case signature, truncated, limit, value, frame, handshake, conversion, resolution
        }
        private var kind: Kind

        /// A signature text that does not follow the grammar, or names a type that has no wire form (reference §6).
        public static let signature = Code(kind: .signature)
        /// Fewer bytes than the type needs.
        public static let truncated = Code(kind: .truncated)
        /// A size, count or depth above a limit of this library.
        public static let limit = Code(kind: .limit)
        /// A value that does not fit its type, on the wire (a bool of 2) or in memory (a string to be written as `i`).
        public static let value = Code(kind: .value)
        /// A frame that is no qi frame; the stream cannot be trusted any more and has to be closed (reference §2).
        public static let frame = Code(kind: .frame)
        /// The peer broke the rules of authentication or refused us (reference §10).
        public static let handshake = Code(kind: .handshake)
        /// A value that cannot be converted to the wanted type (reference §22).
        public static let conversion = Code(kind: .conversion)
        /// A method name and arguments that mean no method, or several (reference §21).
        public static let resolution = Code(kind: .resolution)

        /// The name of the code, for logs.
        public var description: String { kind.rawValue }
    }

    /// What kind of failure this is.
    public var code: Code
    /// What happened, in words.
    public var message: String

    /// Creates an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// `code: message`.
    public var description: String { "\(code): \(message)" }
}

extension WireError {
    // Construction stays out of line: the hot path only carries the branch.
    @inline(never) @usableFromInline
    static func truncated(_ what: String) -> WireError {
        WireError(.truncated, "the payload ends within \(what)")
    }

    @inline(never) @usableFromInline
    static func mismatch(_ value: QiValue, _ type: QiType) -> WireError {
        WireError(.value, "a \(value.kindName) cannot be written as \(type.signatureText); convert it first")
    }
}
