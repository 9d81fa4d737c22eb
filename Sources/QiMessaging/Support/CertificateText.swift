import Glibc
import NIOSSL
import QiWire
import SwiftASN1
import X509

/// What is wrong with a certificate that was shown, in words: which date, name or issuer.
struct CertificateText {
    private let certificate: NIOSSLCertificate?

    init(_ certificate: NIOSSLCertificate?) { self.certificate = certificate }

    /// When it is not valid at a time, in seconds since 1970; nil when it is.
    func outdated(_ now: Int64) -> String? {
        guard let certificate else { return nil }
        let (first, last) = (Int64(certificate.notValidBefore), Int64(certificate.notValidAfter))
        if now < first { return "its certificate is valid from \(Self.date(first)) only, and here it is \(Self.date(now))" }
        return now > last ? "its certificate has expired on \(Self.date(last)), and here it is \(Self.date(now))" : nil
    }

    /// That it is another than the ones that were named.
    var notPinned: String { "its certificate\(subject) is another than the one that is expected" }

    /// That its chain leads to no authority that is trusted.
    var unknownIssuer: String {
        guard let parsed else { return "its certificate was issued by an authority that is not trusted here" }
        let issuer = Self.text(parsed.issuer)
        if parsed.issuer == parsed.subject { return "its certificate (\(issuer)) is signed by itself, and not trusted here" }
        return "its certificate was issued by \(issuer), which is not trusted here"
    }

    /// That it is for other names than the one by which the peer was called.
    func wrongName(_ host: String) -> String {
        let names = names
        let known = names.isEmpty ? "no name" : names.prefix(4).joined(separator: ", ") + (names.count > 4 ? ", …" : "")
        return "its certificate is for \(known), and not for \(host)"
    }

    private var names: [String] {
        guard let extensions = parsed?.extensions, let names = try? extensions.subjectAlternativeNames else { return [] }
        return names.compactMap { name in
            switch name {
            case .dnsName(let name): Self.bounded(name)
            case .ipAddress(let address): Self.address(Array(address.bytes))
            default: nil
            }
        }
    }

    /// As RFC 5280 §4.2.1.6 has it: the bytes in network order.
    private static func address(_ bytes: [UInt8]) -> String? {
        switch bytes.count {
        case 4: bytes.map { "\($0)" }.joined(separator: ".")
        case 16:
            IPAddress(
                stride(from: 0, to: 16, by: 2).map { String(Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]), radix: 16) }.joined(separator: ":")
            )?.description
        default: nil
        }
    }

    private var subject: String { parsed.map { " (\(Self.text($0.subject)))" } ?? "" }

    /// Nil for one that another library cannot read: then less is said.
    private var parsed: Certificate? {
        guard let bytes = try? certificate?.toDERBytes() else { return nil }
        return try? Certificate(derEncoded: bytes)
    }

    private static func text(_ name: DistinguishedName) -> String { bounded("\(name)") }

    /// A peer's words: not more than fit into a message.
    private static func bounded(_ text: String) -> String { text.utf8.count > 120 ? text.cut(toBytes: 120) + "…" : text }

    /// `2026-11-29 10:04 UTC`.
    private static func date(_ seconds: Int64) -> String {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = "\(Int(parts.tm_year) + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        return "\(day) \(two(parts.tm_hour)):\(two(parts.tm_min)) UTC"
    }
}
