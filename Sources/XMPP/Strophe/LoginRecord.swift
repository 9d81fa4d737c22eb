/// What a login attempt has shown so far, read from the library's log: nothing else tells why one failed, for user handlers see no
/// stanza before it succeeded. A value; holds nothing of the credentials that pass through that log.
struct LoginRecord: Hashable, Sendable {
    /// A refusal in the words of the protocol.
    struct Refusal: Hashable, Sendable {
        /// The defined condition, for example `not-authorized`.
        var condition: String
        /// Text for a person, from the server.
        var text = ""
        /// Whether the server says that it may go well later.
        var isTemporary = false

        /// `condition`, or `condition: text`.
        var description: String { text.isEmpty ? condition : "\(condition): \(text)" }
    }

    /// Where the last attempt to connect went.
    var host: String?
    var port: UInt16?
    /// What the system said to connect().
    var systemError: Int32?
    /// Whether the library gave up waiting for the connection.
    var hasTimedOut = false
    /// Login mechanisms that the server offered, in upper case.
    var mechanisms: [String] = []
    /// The last refused login (RFC 6120 §6.5).
    var loginRefusal: Refusal?
    /// Why the server gave no resource (RFC 6120 §7).
    var bindRefusal: Refusal?
    /// What the server announced last of the stream's limits (XEP-0478).
    var streamLimits = StreamLimits()
    /// What the library said last.
    var libraryError: String?

    /// Mechanisms of the library that do not show the server the password.
    private static let proving: Set<String> = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5"]

    /// Whether the server offers a way to log in that the library knows and that does not show it the password.
    var offersProof: Bool { mechanisms.contains(where: LoginRecord.proving.contains) }
    /// Whether it offers to be shown the password.
    var offersPlain: Bool { mechanisms.contains("PLAIN") }

    /// A line of the library's log that is no stanza. `systemError` is errno.
    mutating func logged(_ line: String, isError: Bool, systemError: Int32) {
        if isError { libraryError = line.cut(toBytes: 200) }
        if line.hasPrefix("sock_connect() to ") {
            attempted(line.dropFirst("sock_connect() to ".count), systemError: systemError)
        } else if line.hasPrefix("connection failed, error ") {
            self.systemError = Int32(line.dropFirst("connection failed, error ".count))
        } else if line.hasPrefix("Connection attempt timed out") {
            hasTimedOut = true
        }
    }

    /// `HOST:PORT returned SOCKET`.
    private mutating func attempted(_ text: Substring, systemError: Int32) {
        let words = text.split(separator: " ")
        guard let place = words.first, let colon = place.lastIndex(of: ":"), let port = UInt16(place[place.index(after: colon)...]) else {
            return
        }
        host = String(place[..<colon])
        self.port = port
        if words.last == "-1" { self.systemError = systemError }
    }

    /// A stanza of the login arrived.
    mutating func received(_ stanza: Element) {
        switch stanza.name {
        case "features":
            // They may change with the login (XEP-0478 §4).
            if let limits = stanza["limits", Namespaces.streamLimits] { streamLimits = StreamLimits(parsing: limits) }
            // The first such child, and its texts joined, as the library reads them; what was offered before TLS counts for it as well.
            guard let offer = stanza.child("mechanisms"), offer.namespace == Namespaces.sasl else { return }
            let texts = offer.children("mechanism").map { $0.text.cut(toBytes: 64).uppercased() }
            mechanisms += texts.prefix(64).filter { !mechanisms.contains($0) }
        case "failure" where stanza.namespace == Namespaces.sasl:
            let condition = stanza.children.first { $0.name != "text" }?.name ?? "not-authorized"
            loginRefusal = Refusal(
                condition: condition, text: LoginRecord.text(of: stanza.child("text")),
                isTemporary: condition == "temporary-auth-failure" || condition == "aborted")
        case "iq" where stanza["type"] == "error" && loginRefusal == nil:
            let error = StanzaError(parsing: stanza.child("error"))
            bindRefusal = Refusal(
                condition: error.condition, text: error.text.cut(toBytes: 200),
                isTemporary: error.type == .wait || error.condition == "conflict")
        default: break
        }
    }

    private static func text(of element: Element?) -> String { (element?.text ?? "").cut(toBytes: 200) }
}
