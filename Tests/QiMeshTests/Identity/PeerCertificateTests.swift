import NIOSSL
import Testing

@testable import QiMesh

@Suite struct PeerCertificateTests {
    private func certificates(_ pem: String...) throws -> [NIOSSLCertificate] {
        try pem.map { try NIOSSLCertificate(bytes: Array($0.utf8), format: .pem) }
    }

    @Test func acceptsOneSelfSignedP256() throws {
        let key = try PeerCertificate.examine(certificates(Fixtures.p256)).get()
        #expect(key.description == KeyFingerprintTests.text)
    }

    @Test(arguments: [
        (Fixtures.p384, "not of the kind P-256"),
        (Fixtures.rsa, "not of the kind P-256"),
        (Fixtures.foreign, "not signed by its own key"),
    ])
    func refusesOtherKindsAndOtherSigners(pem: String, reason: String) throws {
        let chain = try certificates(pem)
        let error = #expect(throws: MeshError.self) { try PeerCertificate.examine(chain).get() }
        #expect(error?.code == .violation)
        #expect(error?.message.contains(reason) == true)
    }

    @Test func refusesNoneAndSeveral() throws {
        let two = try certificates(Fixtures.p256, Fixtures.foreign)
        for chain in [[], two] {
            let error = #expect(throws: MeshError.self) { try PeerCertificate.examine(chain).get() }
            #expect(error?.message == "the peer sent \(chain.count) certificates instead of one")
        }
    }
}
