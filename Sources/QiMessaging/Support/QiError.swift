/// What went wrong on the bus: a code for programs, a message that says what happened and where, and a hint that says
/// what to do.
public struct QiError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure. A struct over a private enum, so that a new code breaks no `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String, Hashable {
            case remote, notFound, denied, offline, timedOut, disconnected, cancelled, invalid, conflict, limit, unsupported
        }
        private let value: Value
        /// The remote method raised an error; ``QiError/message`` is its text.
        public static let remote = Code(value: .remote)
        /// No such device, service, object or member.
        public static let notFound = Code(value: .notFound)
        /// The caller may not do this.
        public static let denied = Code(value: .denied)
        /// The device or the endpoint cannot be reached now; trying again later is reasonable.
        public static let offline = Code(value: .offline)
        /// No answer before the deadline.
        public static let timedOut = Code(value: .timedOut)
        /// The connection that carried the call was lost before its answer came.
        public static let disconnected = Code(value: .disconnected)
        /// The call was cancelled.
        public static let cancelled = Code(value: .cancelled)
        /// A value, name, address or message is not valid.
        public static let invalid = Code(value: .invalid)
        /// The name is taken, or the state does not allow it.
        public static let conflict = Code(value: .conflict)
        /// A bound on size, count or rate was reached.
        public static let limit = Code(value: .limit)
        /// Not offered here.
        public static let unsupported = Code(value: .unsupported)

        public var description: String { value.rawValue }
    }

    public var code: Code
    public var message: String
    /// What to do about it, when there is something.
    public var hint: String?
    public var cause: (any Error)?
    /// How long to wait before the same request is granted, where a limit told.
    public var retryAfter: Duration?

    public init(_ code: Code, _ message: String, hint: String? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
        self.cause = cause
    }

    public var description: String {
        guard let hint else { return message }
        return "\(message) (\(hint))"
    }

    /// Whether the same request may succeed later without anything being changed.
    public var isRetryable: Bool { code == .offline || code == .timedOut || code == .disconnected || retryAfter != nil }
}
