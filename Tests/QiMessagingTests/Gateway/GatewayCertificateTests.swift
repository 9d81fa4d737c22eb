import Foundation
import NIOCore
@testable import QiMessaging
import QiMeshTesting
import Synchronization
import Testing

/// Certificates of a gateway that are replaced while it runs.
@Suite(.timeLimit(.minutes(8))) struct GatewayCertificateTests {
    private struct Issuer {
        let authority: TestAuthority
        let trust: TLSOptions.Trust

        init(_ name: String, in folder: String) throws {
            authority = try TestAuthority(in: URL(fileURLWithPath: folder), name: name)
            trust = .authorities([.file(authority.certificate.path)])
        }

        func identity(_ name: String) throws -> TLSOptions.Identity {
            let files = try authority.issue(for: name)
            return TLSOptions.Identity(certificates: [.file(files.certificate.path)], privateKey: .file(files.key.path))
        }
    }

    private final class Records: AuditSink {
        private let kept = Mutex<[AuditRecord]>([])
        func record(_ record: AuditRecord) { kept.withLock { $0.append(record) } }
        var all: [AuditRecord] { kept.withLock { $0 } }
    }

    private func connect<Result: Sendable>(
        _ endpoint: Endpoint, _ tls: TLSOptions, _ body: (Session) async throws -> Result
    ) async throws -> Result {
        var options = Session.Options()
        options.machineID = "outside-machine"
        options.logger = quiet
        options.tls = tls
        return try await Session.with(endpoint.text, options: options, body)
    }

    @Test func newConnectionsAreShownTheNewCertificateAndOldConnectionsStay() async throws {
        try await withFolder { folder in
            let (one, other) = (try Issuer("one", in: folder), try Issuer("other", in: folder))
            let old = TLSOptions(identity: try one.identity("localhost"))
            try await MortalDirectory.with { directory in
                try await withGateway(to: directory.endpoint, at: ["tcps://localhost:0"], { $0.tls = old }) { gateway, endpoint in
                    try await connect(endpoint, TLSOptions(trust: one.trust)) { session in
                        try gateway.replaceCertificates(TLSOptions(identity: try other.identity("localhost")))
                        #expect(try await session.services().map(\.name) == ["ServiceDirectory"])
                        let names = try await connect(endpoint, TLSOptions(trust: other.trust)) { try await $0.services().map(\.name) }
                        #expect(names == ["ServiceDirectory"])
                        let refused = await #expect(throws: QiError.self) {
                            try await connect(endpoint, TLSOptions(trust: one.trust)) { _ in }
                        }
                        #expect(refused?.code == .denied)
                    }
                }
            }
        }
    }

    @Test func aCertificateThatCannotBeUsedIsRefusedAndTheOldOneStays() async throws {
        try await withFolder { folder in
            let one = try Issuer("one", in: folder)
            let good = try one.identity("localhost")
            try await MortalDirectory.with { directory in
                try await withGateway(to: directory.endpoint, at: ["tcps://localhost:0"], { $0.tls = TLSOptions(identity: good) }) {
                    gateway, endpoint in
                    let missing = TLSOptions.Identity(certificates: [.file(folder + "/none.pem")], privateKey: good.privateKey)
                    let foreign = TLSOptions.Identity(certificates: good.certificates, privateKey: try one.identity("other").privateKey)
                    for bad in [TLSOptions(identity: missing), TLSOptions(identity: foreign), TLSOptions()] {
                        let error = #expect(throws: QiError.self) { try gateway.replaceCertificates(bad) }
                        #expect(error?.code == .invalid)
                        let names = try await connect(endpoint, TLSOptions(trust: one.trust)) { try await $0.services().map(\.name) }
                        #expect(names == ["ServiceDirectory"])
                    }
                }
            }
        }
    }

    @Test func aClientWhoseCertificateIsNotTrustedAnyMoreIsOut() async throws {
        try await withFolder { folder in
            let (one, other) = (try Issuer("one", in: folder), try Issuer("other", in: folder))
            let identity = try one.identity("localhost")
            func trusting(_ issuers: [Issuer]) -> TLSOptions {
                TLSOptions(identity: identity, trust: .authorities(issuers.map { .file($0.authority.certificate.path) }))
            }
            let records = Records()
            let client = TLSOptions(identity: try other.identity("tablet"), trust: one.trust)
            try await MortalDirectory.with { directory in
                try await withGateway(
                    to: directory.endpoint, at: ["tcpsm://localhost:0"],
                    { options in
                        options.tls = trusting([one, other])
                        options.rules.authentication = ListenerRules.Authentication()
                        options.rules.audit = records
                    }
                ) { gateway, endpoint in
                    try await connect(endpoint, client) { session in
                        // The same ones again end nothing.
                        try gateway.replaceCertificates(trusting([one, other]))
                        #expect(try await session.services().map(\.name) == ["ServiceDirectory"])
                        #expect(records.all.isEmpty)
                        try gateway.replaceCertificates(trusting([one]))
                        #expect(await session.isAway() != nil)
                        #expect(records.all.first?.detail?.hasPrefix("the trusted certificates were changed") == true)
                    }
                    await #expect(throws: QiError.self) { try await connect(endpoint, client) { _ in } }
                }
            }
        }
    }
}
