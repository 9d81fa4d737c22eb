import Foundation
import Testing

@testable import QiMesh

@Suite struct KeyFingerprintTests {
    /// The same key through `openssl pkey -pubout -outform DER | openssl dgst -sha256 -binary | base64`.
    static let text = "SHA256:s8gH9Bo9NhVh69ej94VJTI9ShwfQ2a8fbGMY/RepfG8"
    static let spki =
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEshbwezbXmAOli5IhBQiKB1lwz066P0nlQRkk+DBk2XLDzz1yltnEX2rgtKV3ub/00fD1jWljbDKdJyCX5utG0A=="

    @Test func isTheDigestOfTheKeyAsOpenSSLComputesIt() throws {
        let bytes = try #require(Data(base64Encoded: Self.spki))
        #expect(KeyFingerprint(subjectPublicKeyInfo: bytes).description == Self.text)
    }

    @Test func readsWhatItWrites() throws {
        let key = try #require(KeyFingerprint(Self.text))
        #expect(key.description == Self.text)
        #expect(key == KeyFingerprint(subjectPublicKeyInfo: try #require(Data(base64Encoded: Self.spki))))
    }

    @Test(arguments: [
        "", "SHA256:", "s8gH9Bo9NhVh69ej94VJTI9ShwfQ2a8fbGMY/RepfG8", "sha256:s8gH9Bo9NhVh69ej94VJTI9ShwfQ2a8fbGMY/RepfG8",
        // padding, one short, one long, a letter outside the alphabet, a line end, and spare bits that are not zero
        "SHA256:s8gH9Bo9NhVh69ej94VJTI9ShwfQ2a8fbGMY/RepfG8=", "SHA256:s8gH9Bo9NhVh69ej94VJTI9ShwfQ2a8fbGMY/RepfG",
        "SHA256:s8gH9Bo9NhVh69ej94VJTI9ShwfQ2a8fbGMY/RepfG8A", "SHA256:s8gH9Bo9NhVh69ej94VJTI9ShwfQ2a8fbGMY/RepfG-",
        "SHA256:s8gH9Bo9NhVh69ej94VJTI9ShwfQ2a8fbGMY/RepfG8\n", "SHA256:s8gH9Bo9NhVh69ej94VJTI9ShwfQ2a8fbGMY/RepfG9",
    ])
    func refusesEveryOtherSpelling(_ text: String) {
        #expect(KeyFingerprint(text) == nil)
    }
}
