extension MeshError {
    /// The kind of a failure. A struct over a private enum: a new kind breaks no `switch` outside this library.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case configuration, identity, trust
            case notFound = "not-found"
            case offline, denied, authentication
            case timedOut = "timed-out"
            case remote, usage
            case tooLarge = "too-large"
            case limit, conflict, unmet
            case unsupported, violation, closed, cancelled, system
        }

        private let kind: Kind

        private init(_ kind: Kind) { self.kind = kind }

        /// The code of that word, nil for one of a later version.
        init?(word: String) {
            guard let kind = Kind(rawValue: word) else { return nil }
            self.kind = kind
        }

        /// The configuration file, or an environment variable that stands for it, cannot be used as it is.
        public static let configuration = Code(.configuration)
        /// This device's own key or certificate is missing, damaged or readable by others.
        public static let identity = Code(.identity)
        /// A peer's key is not the pinned one, or the trust file cannot be used.
        public static let trust = Code(.trust)
        /// No such device, service or member.
        public static let notFound = Code(.notFound)
        /// The device exists, but no path to it does at present.
        public static let offline = Code(.offline)
        /// The asker may not do that.
        public static let denied = Code(.denied)
        /// A server refused the account's credentials.
        public static let authentication = Code(.authentication)
        /// No answer within the time that was given.
        public static let timedOut = Code(.timedOut)
        /// The remote method raised an error.
        public static let remote = Code(.remote)
        /// A command or a call was given arguments it cannot take.
        public static let usage = Code(.usage)
        /// A value is larger than a limit allows.
        public static let tooLarge = Code(.tooLarge)
        /// A limit on a rate or a number was reached.
        public static let limit = Code(.limit)
        /// The name is taken, or the state does not allow it.
        public static let conflict = Code(.conflict)
        /// What was expected of a policy does not hold.
        public static let unmet = Code(.unmet)
        /// What was asked for is not part of this version.
        public static let unsupported = Code(.unsupported)
        /// A peer broke the protocol; the connection it did so on is over.
        public static let violation = Code(.violation)
        /// What the operation ran on was closed.
        public static let closed = Code(.closed)
        /// The caller gave up.
        public static let cancelled = Code(.cancelled)
        /// The operating system refused a file, socket or directory.
        public static let system = Code(.system)

        /// The word used in JSON output (`not-found`, `timed-out`); stable between versions.
        public var description: String { kind.rawValue }

        /// Whether the same request may succeed later without anybody changing anything.
        public var isRetryable: Bool {
            switch kind {
            case .offline, .timedOut, .closed: true
            case .configuration, .identity, .trust, .notFound, .denied, .authentication, .remote, .usage, .tooLarge, .limit, .conflict,
                .unmet, .unsupported, .violation, .cancelled, .system:
                false
            }
        }

        /// The exit status of a command that fails with this (reference "cli-and-config", exit codes): 1 to 8, 130 for
        /// ``cancelled``.
        public var exitStatus: Int32 {
            switch kind {
            case .remote, .tooLarge, .limit, .unsupported, .violation, .conflict, .system: 1
            case .usage: 2
            case .notFound: 3
            case .denied, .authentication, .trust: 4
            case .offline, .closed: 5
            case .timedOut: 6
            case .configuration, .identity: 7
            case .unmet: 8
            case .cancelled: 130
            }
        }
    }
}
