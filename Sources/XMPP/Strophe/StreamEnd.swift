/// How a stream ended, with everything that helps to tell why; the library itself says little.
struct StreamEnd: Hashable, Sendable {
    /// The library's number: 0 for an orderly end.
    var error: Int32 = 0
    /// Condition of the server's `<stream:error/>` (RFC 6120 §4.9.3).
    var streamError: String?
    /// Its text.
    var streamErrorText: String?
    /// The host that `see-other-host` names.
    var otherHost: String?
    /// What was wrong with the server's certificate.
    var certificateFault: CertificateFault?
    /// What the login had shown until then.
    var login = LoginRecord()
    /// Whether the password might be sent as it is.
    var hasPlainPassword = false
    /// Whether there was an address to connect to.
    var hadSocket = false
    /// What the system said when the name was looked up in vain.
    var resolving: String?
    /// What of our own kept the attempt from beginning: a password that cannot be read, for example.
    var localFault: String?
    /// The attempt took too long and was cut.
    var isCut = false

    /// Takes what the server said when it ended the stream.
    mutating func setStreamError(_ element: Element?) {
        let children = (element?.children ?? []).filter { $0.namespace == Namespaces.streamErrors }
        let condition = children.first { $0.name != "text" }
        streamError = condition?.name ?? "undefined-condition"
        streamErrorText = children.first { $0.name == "text" }.map { $0.text.cut(toBytes: 200) }
        if streamError == "see-other-host" {
            otherHost = condition.map { $0.text.cut(toBytes: 300).filter { !$0.isWhitespace } }
        }
    }
}
