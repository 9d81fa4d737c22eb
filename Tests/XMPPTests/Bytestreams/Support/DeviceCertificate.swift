import NIOCore
import NIOSSL

/// A self-signed certificate (P-256, valid for 100 years) with its key, for TLS inside bytestreams; a secret of nobody's.
enum DeviceCertificate {
    /// TLS 1.3, both sides with the certificate, both checking that the other shows exactly it.
    static func context() throws -> NIOSSLContext {
        let certificate = try NIOSSLCertificate(bytes: Array(self.certificate.utf8), format: .pem)
        let key = try NIOSSLPrivateKey(bytes: Array(self.key.utf8), format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(certificate)], privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .noHostnameVerification
        return try NIOSSLContext(configuration: configuration)
    }

    /// The handler for one side, checking the other's certificate.
    static func handler(_ context: NIOSSLContext, isServer: Bool) throws -> any ChannelHandler {
        let expected = try NIOSSLCertificate(bytes: Array(certificate.utf8), format: .pem)
        let check: @Sendable ([NIOSSLCertificate], EventLoopPromise<NIOSSLVerificationResult>) -> Void = { chain, promise in
            promise.succeed(chain.first == expected ? .certificateVerified : .failed)
        }
        if isServer { return NIOSSLServerHandler(context: context, customVerificationCallback: check) }
        return try NIOSSLClientHandler(context: context, serverHostname: nil, customVerificationCallback: check)
    }

    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBeDCCAR+gAwIBAgIUQ7ttrKO9F4kEyBEQOXW4OSoKqIwwCgYIKoZIzj0EAwIw
        ETEPMA0GA1UEAwwGZGV2aWNlMCAXDTI2MTEyMzAxNDU0NloYDzIxMjYxMDMwMDE0
        NTQ2WjARMQ8wDQYDVQQDDAZkZXZpY2UwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
        AAR83o6RoKQl1UEy03f+QIKItO1QBiOv+a4PVh6jHKMmMYo+Aw6Hl1I4ym79w0CK
        MhcOXdk/UsVGrOQ3XrIpBvKko1MwUTAdBgNVHQ4EFgQUkEyhD1EvZ2w6YQL6PL4+
        Gqs0C4AwHwYDVR0jBBgwFoAUkEyhD1EvZ2w6YQL6PL4+Gqs0C4AwDwYDVR0TAQH/
        BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAdBVfj6QbI10O9Z3mntKIpuRap3qln
        FtwJnaeBW6O8EgIgdDFIodbRkuW+kjj/q8fgL49EreVtmXHyAitPJhsKq3w=
        -----END CERTIFICATE-----
        """

    private static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgYohCtI3PTpUMAbwg
        SuPbTBMyuFiRa1fU7FkFq996bEihRANCAAR83o6RoKQl1UEy03f+QIKItO1QBiOv
        +a4PVh6jHKMmMYo+Aw6Hl1I4ym79w0CKMhcOXdk/UsVGrOQ3XrIpBvKk
        -----END PRIVATE KEY-----
        """
}
