import QiMessaging
import QiWire

extension CommandFailure {
    /// What the bus says went wrong.
    /// - Parameter device: whose service was meant.
    init(_ error: QiError, device: String? = nil) {
        self.init(Self.code(error.code), error.message, hint: error.hint, device: device)
    }

    private static func code(_ code: QiError.Code) -> Code {
        switch code {
        case .remote: .remote
        case .notFound: .notFound
        case .denied: .denied
        case .offline: .offline
        case .timedOut: .timedOut
        case .disconnected: .closed
        case .cancelled: .cancelled
        case .conflict: .conflict
        case .limit: .tooLarge
        case .unsupported: .unsupported
        case .invalid: .violation
        // A code that the library learns later.
        default: .remote
        }
    }

    /// What the node found out by looking a service up itself: the code of the bus as a word, message and hint.
    ///
    /// Nil when it was found after all.
    init?(found: QiValue, device: String) {
        let word = found.text("code")
        guard !word.isEmpty else { return nil }
        let hint = found.text("hint")
        let known: [QiError.Code] = [
            .remote, .notFound, .denied, .offline, .timedOut, .disconnected, .cancelled, .invalid, .conflict, .limit,
            .unsupported,
        ]
        let code = known.first { $0.description == word }.map(Self.code) ?? .remote
        self.init(code, found.text("message"), hint: hint.isEmpty ? nil : hint, device: device)
    }

    /// What the node says in answer to a look-up or to its control interface. On the wire an error is a text only (wire
    /// reference §5), so the node puts the kind first and the advice last: `not-found: nobody asked (try: qimesh devices)`.
    ///
    /// Any other text is the whole message of a `remote` failure.
    init(nodeText text: String, device: String? = nil) {
        var message = Substring(text)
        var hint: String?
        if message.hasSuffix(")"), let start = message.ranges(of: "(try: ").last {
            hint = String(message[start.upperBound...].dropLast())
            message = message[..<start.lowerBound]
            while message.last?.isWhitespace == true { message.removeLast() }
        }
        var code = Code.remote
        if let colon = message.firstRange(of: ": "), let known = Code(rawValue: String(message[..<colon.lowerBound])) {
            code = known
            message = message[colon.upperBound...]
        }
        self.init(code, String(message), hint: hint, device: device)
    }

    /// The failure of a question to the node itself, where an error text is the node's own.
    init(ofNode error: QiError, device: String? = nil) {
        if error.code == .remote || (error.code == .denied && error.message.hasPrefix("denied: ")) {
            self.init(nodeText: error.message, device: device)
        } else {
            self.init(error, device: device)
        }
    }
}
