/// What a rule grants at most, counted for each principal over all its connections. nil: no bound of its own.
public struct PrincipalLimits: Hashable, Sendable {
    /// So much within so long; all of it may come at once.
    public struct Rate: Hashable, Sendable {
        /// Calls, or bytes.
        public var count: Int
        public var interval: Duration

        public init(_ count: Int, per interval: Duration = .seconds(1)) {
            self.count = count
            self.interval = interval
        }
    }

    /// Calls, posts, subscriptions and accesses to properties.
    public var calls: Rate?
    /// Bytes of calls, their answers and events, by the name of the way they take (``PathKind/name``). A way without a rate has no bound.
    public var bytes: [String: Rate] = [:]
    /// Those through XMPP.
    public var inband: Rate? {
        get { bytes[PathKind.inBand.name] }
        set { bytes[PathKind.inBand.name] = newValue }
    }
    /// The largest arguments of one call, in bytes.
    public var payload: Int?
    /// Calls that wait for their answers.
    public var callsInFlight: Int?
    /// Subscriptions held at once.
    public var subscriptions: Int?
    /// Bytes that may wait for a slow reader; events beyond are dropped.
    public var queue: Int?

    public init() {}

    /// Whether there is any bound.
    public var isEmpty: Bool { self == PrincipalLimits() }
}
