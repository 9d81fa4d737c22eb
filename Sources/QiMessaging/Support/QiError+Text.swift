import NIOCore

/// Errors as the bus carries them. An Error message is a text and nothing else (libqi `src/messaging/message.cpp`), so the kind of an
/// error of ours stands before it as a word, and how long to wait at its end: `limit: 3 calls per second are allowed: try again in
/// 40 ms`. This is the one place that writes and reads that form; who passes an error on passes the text on as it came.
extension QiError {
    /// The text of the Error message that tells this error.
    ///
    /// The word of the code is put before it unless the text is read back as that code anyway: it has its word already, or it is one
    /// of libqi's own.
    public var wireText: String {
        let text = description
        guard let word = code.word, Code(readingText: text) != code else { return text }
        return "\(word): \(text)"
    }

    /// Reads the text of an Error message.
    ///
    /// A text of a service that looks like one of ours yields a code and a time, and never a ``hint``: what to do is said by our own
    /// process only. The word stays in the messages of `denied` and `limit`, where people read it, and goes from all others.
    public init(wireText text: String) {
        let code = Code(readingText: text) ?? .remote
        var message = text
        if code != .denied, code != .limit, let word = code.word, text.hasPrefix(word + ": ") {
            message = String(text.dropFirst(word.count + 2))
        }
        self.init(code, message)
        if code == .limit { retryAfter = Self.wait(in: text) }
    }

    /// What a method of this process threw, as its callers elsewhere would get it.
    init(thrownBy error: any Error) {
        self.init(wireText: error.callText)
        cause = error
    }

    private static let waiting = "try again in "

    /// The time in `… try again in 40 ms (rule 2)`.
    private static func wait(in text: String) -> Duration? {
        guard let start = text.ranges(of: waiting).last?.upperBound else { return nil }
        let digits = text[start...].prefix { $0.isASCII && $0.isNumber }
        // A longer number is no time that could be waited for.
        guard digits.utf8.count <= 9, let count = Int64(digits) else { return nil }
        let unit = text[digits.endIndex...]
        if unit.hasPrefix(" ms") { return .milliseconds(count) }
        return unit.hasPrefix(" s") ? .seconds(count) : nil
    }

    /// What a limit says about when to come back, at the end of its text.
    static func tryAgain(in wait: TimeAmount) -> String {
        let milliseconds = (wait.nanoseconds + 999_999) / 1_000_000
        return waiting + (milliseconds < 1000 ? "\(milliseconds) ms" : "\((milliseconds + 999) / 1000) s")
    }
}

extension QiError {
    /// How calls are refused by what stops.
    static func stopping(_ what: String) -> QiError {
        QiError(.offline, "\(what) is stopping", hint: "try again when it has started anew")
    }
}

extension QiError.Code {
    /// The word that stands before a text; nil for what a method itself raised, which is told as it is.
    public var word: String? {
        switch self {
        case .notFound: "not-found"
        case .denied: "denied"
        case .offline: "offline"
        case .timedOut: "timed-out"
        case .disconnected: "closed"
        case .cancelled: "cancelled"
        case .invalid: "invalid"
        case .conflict: "conflict"
        case .limit: "limit"
        case .unsupported: "unsupported"
        default: nil
        }
    }

    private static let words: [Substring: QiError.Code] = {
        let codes: [QiError.Code] = [
            .notFound, .denied, .offline, .timedOut, .disconnected, .cancelled, .invalid, .conflict, .limit, .unsupported,
        ]
        return Dictionary(codes.compactMap { code in code.word.map { (Substring($0), code) } }) { first, _ in first }
    }()

    /// Texts of libqi, which have no word (`src/messaging/boundobject.cpp`, `servicedirectory.cpp`, `src/type/dynamicobject.cpp`).
    private static let beginnings: [(String, QiError.Code)] = [
        ("Cannot find service '", .notFound), ("The call request could not be handled.", .notFound), ("No such method", .notFound),
        ("No such signal", .notFound), ("property `", .notFound), ("property: Id is not id", .notFound),
        ("Unregister request failed for", .notFound), ("Unregister Service: Can't find service #", .notFound),
        ("Can't find pending service #", .notFound), ("updateServiceInfo: Can't find service #", .notFound),
        ("Call has been canceled.", .cancelled),
    ]

    /// The longest word and what follows it.
    private static let reach = 16

    /// The kind of error that a text tells; nil for any other text.
    init?(readingText text: String) {
        let start = text.prefix(Self.reach)
        if let end = start.ranges(of: ": ").first?.lowerBound, let code = Self.words[start[..<end]] {
            self = code
        } else if let known = Self.beginnings.first(where: { text.hasPrefix($0.0) }) {
            self = known.1
        } else {
            return nil
        }
    }
}
