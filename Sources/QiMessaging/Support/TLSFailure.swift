import NIOSSL

/// Why a TLS handshake failed, in words: BoringSSL says it by a name in a line with numbers and the path of a source file.
enum TLSFailure {
    /// What the peer's certificate was checked against.
    enum Check {
        /// Authorities, and the name by which the peer was called.
        case authorities
        /// Certificates that are the only good ones.
        case pins
    }

    /// - Parameters:
    ///   - certificate: what the peer showed, if that is known.
    ///   - check: nil when nothing was checked.
    ///   - host: by which the peer was called.
    ///   - now: seconds since 1970.
    static func text(
        _ error: any Error, certificate: NIOSSLCertificate? = nil, check: Check? = nil, host: String = "", now: Int64 = 0
    ) -> String {
        if let error = error as? NIOSSLExtraError {
            guard error == .failedToValidateHostname else { return "\(host) cannot be a server's name in a certificate" }
            return CertificateText(certificate).wrongName(host)
        }
        let names = reasons(error)
        if names.contains("CERTIFICATE_VERIFY_FAILED") {
            let text = CertificateText(certificate)
            return check == .pins ? text.notPinned : text.outdated(now) ?? text.unknownIssuer
        }
        for name in names { if let words = words[name] { return words } }
        if let name = names.first { return name.lowercased().split(separator: "_").joined(separator: " ") }
        return reason(error)
    }

    /// Why a certificate and a key, each of which could be read, cannot be used.
    static func text(ofUsing error: any Error) -> String {
        (error as? NIOSSLError) == .failedToLoadPrivateKey
            ? "the private key does not belong to the certificate" : FailureReason.text(error)
    }

    /// Of reading certificates and keys, and of what has no name.
    private static func reason(_ error: any Error) -> String {
        switch error as? NIOSSLError {
        case .failedToLoadCertificate: return "it is no certificate, or damaged"
        case .failedToLoadPrivateKey: return "it is no private key, or damaged"
        case .uncleanShutdown: return "the other side ended the connection"
        default: break
        }
        let isAtEnd = stack(error).contains(.eofDuringHandshake)
        return isAtEnd || (error as? BoringSSLError) == .syscallError || (error as? NIOSSLError) == .handshakeFailed(.syscallError)
            ? "the other side ended the connection" : "the other side does not speak TLS as it should"
    }

    private static func stack(_ error: any Error) -> NIOBoringSSLErrorStack {
        var inner = error as? BoringSSLError
        if case .handshakeFailed(let error)? = error as? NIOSSLError { inner = error }
        return switch inner {
        case .sslError(let stack), .unknownError(let stack), .invalidSNIName(let stack), .failedToSetALPN(let stack): stack
        default: []
        }
    }

    /// The names of BoringSSL's reasons: `Error: 268435581 error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at …`.
    private static func reasons(_ error: any Error) -> [String] {
        stack(error).compactMap { entry in
            let text = entry.description
            guard let start = text.firstRange(of: "OPENSSL_internal:")?.upperBound else { return nil }
            return String(text[start...].prefix { $0 == "_" || $0.isUppercase || $0.isNumber })
        }
    }

    private static let words: [String: String] = {
        let noTLS = "the other side does not speak TLS"
        let badOwn = "the other side does not take our certificate"
        let noneInCommon = "no version or cipher of TLS is known to both sides"
        return [
            "WRONG_VERSION_NUMBER": noTLS, "HTTP_REQUEST": noTLS, "HTTPS_PROXY_REQUEST": noTLS, "UNEXPECTED_RECORD": noTLS,
            "INVALID_OUTER_RECORD_TYPE": noTLS,
            "TLSV1_ALERT_UNKNOWN_CA": badOwn, "SSLV3_ALERT_BAD_CERTIFICATE": badOwn, "SSLV3_ALERT_CERTIFICATE_UNKNOWN": badOwn,
            "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": badOwn, "TLSV1_ALERT_ACCESS_DENIED": badOwn, "TLSV1_ALERT_DECRYPT_ERROR": badOwn,
            "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the other side says that our certificate has expired",
            "SSLV3_ALERT_CERTIFICATE_REVOKED": "the other side says that our certificate was revoked",
            "TLSV1_CERTIFICATE_REQUIRED": "the other side wants a certificate, and none was shown",
            "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the other side wants a certificate, and none was shown",
            "TLSV1_ALERT_CERTIFICATE_REQUIRED": "the other side wants a certificate, and none was shown",
            "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
            "UNSUPPORTED_PROTOCOL": noneInCommon, "TLSV1_ALERT_PROTOCOL_VERSION": noneInCommon, "NO_SHARED_CIPHER": noneInCommon,
            "SSLV3_ALERT_HANDSHAKE_FAILURE": noneInCommon, "TLSV1_ALERT_INSUFFICIENT_SECURITY": noneInCommon,
        ]
    }()
}
