import QiMessaging
import QiWire

extension CommandFailure {
    /// What the bus says went wrong.
    /// - Parameter device: whose service was meant.
    init(_ error: QiError, device: String? = nil) {
        self.init(Self.code(error.code), error.message, hint: error.hint, device: device)
        retryAfter = error.retryAfter
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
        case .limit: .limit
        case .unsupported: .unsupported
        case .invalid: .violation
        // A code that the library learns later.
        default: .remote
        }
    }

    /// What the node says through its control interface. On the wire an error is a text only, so the node puts the kind first and the
    /// advice last: `not-found: no device "salt" (try: qimesh devices)`. Empty advice is none. Never for the text of a directory or a
    /// service: what others say is no advice of ours.
    ///
    /// Any other text is the whole message of a `remote` failure.
    init(nodeText text: String, device: String? = nil) {
        var message = Substring(text)
        var hint: String?
        if message.hasSuffix(")"), let start = message.ranges(of: "(try: ").last {
            let advice = String(message[start.upperBound...].dropLast())
            hint = advice.isEmpty ? nil : advice
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

    /// The failure of a question to the node's control interface, where an error text is the node's own.
    init(ofNode error: QiError, device: String? = nil) {
        guard error.code != .remote else {
            self.init(nodeText: error.message, device: device)
            return
        }
        // The bus has read the word already; what to do still is at the end of the text.
        let word = error.code.word.map { $0 + ": " } ?? ""
        let text = error.message.hasPrefix(word) ? error.message : word + error.message
        let told = CommandFailure(nodeText: text, device: device)
        self.init(error, device: device)
        (message, hint) = (told.message, error.hint ?? told.hint)
    }
}
