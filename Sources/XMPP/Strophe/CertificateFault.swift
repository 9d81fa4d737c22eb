import CStrophe
import Glibc

/// What speaks against a server's certificate, with the date, name or issuer that it is about.
struct CertificateFault: Hashable, Sendable {
    /// What kind of fault it is.
    enum Kind: Hashable, Sendable { case notYetValid, expired, otherName, unknownIssuer, other }

    /// OpenSSL's words for it.
    var reason: String
    /// Begin and end of its validity, as OpenSSL prints them.
    var validFrom: String?
    var validUntil: String?
    /// Who it was issued by.
    var issuer: String?
    /// The DNS names that it is for.
    var names: [String] = []
    /// This machine's time when it was refused.
    var clock: String?

    /// By OpenSSL's words, which are the same in all its versions (`crypto/x509/x509_txt.c`).
    var kind: Kind {
        if reason.contains("not yet valid") { return .notYetValid }
        if reason.contains("expired") { return .expired }
        if reason.contains("hostname") || reason.contains("IP address mismatch") { return .otherName }
        if reason.contains("issuer") || reason.contains("self") || reason.contains("first certificate") { return .unknownIssuer }
        return .other
    }

    /// One clause for people; `domain` is what the certificate should be for. The clock is different at each attempt.
    func text(domain: String, withClock: Bool = true) -> String {
        let now = withClock ? clock.map { "; it is \($0) here" } ?? "" : ""
        switch kind {
        case .notYetValid: return "it is valid from \(validFrom ?? "a later time")\(now)"
        case .expired: return "it was valid until \(validUntil ?? "an earlier time")\(now)"
        case .otherName:
            return "it is for \(names.isEmpty ? "another name" : names.joined(separator: ", ")), not for \(domain)"
        case .unknownIssuer:
            let authority = issuer.map { "\"\($0)\"" } ?? "an authority"
            return "it was issued by \(authority), which is not trusted here; name the PEM file of that authority as ca-file"
        case .other: return reason
        }
    }
}

extension CertificateFault {
    /// Most names of a certificate that are told.
    private static let mostNames = 4

    /// What the library has read of a certificate, copied.
    init(_ reason: String, _ certificate: OpaquePointer) {
        func text(_ element: xmpp_cert_element_t) -> String? {
            xmpp_tlscert_get_string(certificate, element).map { String(cString: $0).cut(toBytes: 200) }
        }
        self.init(
            reason: reason.cut(toBytes: 200), validFrom: text(XMPP_CERT_NOTBEFORE), validUntil: text(XMPP_CERT_NOTAFTER),
            issuer: text(XMPP_CERT_ISSUER))
        for index in 0..<CertificateFault.mostNames {
            guard let name = xmpp_tlscert_get_dnsname(certificate, index) else { break }
            names.append(String(cString: name).cut(toBytes: 253))
        }
        if names.isEmpty, let name = CertificateFault.commonName(text(XMPP_CERT_SUBJECT)) { names = [name] }
        clock = CertificateFault.now()
    }

    /// The name in OpenSSL's `/O=Lab/CN=xmpp.lab.example`: the library (0.12.2) does not tell the DNS names of every certificate.
    static func commonName(_ subject: String?) -> String? {
        subject?.split(separator: "/").last { $0.hasPrefix("CN=") }.map { String($0.dropFirst(3)) }
    }

    /// The time in OpenSSL's form.
    private static func now() -> String? {
        var seconds = time(nil)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return nil }
        var text = [CChar](repeating: 0, count: 64)
        guard strftime(&text, text.count, "%b %e %H:%M:%S %Y GMT", &parts) > 0 else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
