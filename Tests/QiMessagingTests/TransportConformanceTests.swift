import Foundation
import QiMessaging
import QiMeshTesting
import Testing

/// The suite of ``TransportConformance`` over every direct transport; over bytestreams it runs beside the node's tests.
// One after the other: frames of 8 MiB in five places at once would starve every other test of processor time.
@Suite(.timeLimit(.minutes(8)), .serialized)
struct TransportConformanceTests {
    @Test(arguments: TransportConformance.callCases)
    func inProcess(_ given: TransportConformance.Case) async throws {
        try await given.run(over: .inProcess)
    }

    @Test(arguments: TransportConformance.cases)
    func unix(_ given: TransportConformance.Case) async throws {
        try await withFolder { folder in try await given.run(over: .endpoint("unix:\(folder)/socket")) }
    }

    @Test(arguments: TransportConformance.cases)
    func tcp(_ given: TransportConformance.Case) async throws {
        try await given.run(over: .endpoint("tcp://127.0.0.1:0"))
    }

    @Test(arguments: TransportConformance.cases)
    func tls(_ given: TransportConformance.Case) async throws {
        try await withFolder { folder in
            let authority = try TestAuthority(in: URL(fileURLWithPath: folder))
            let files = try authority.issue(for: "localhost")
            let identity = TLSOptions.Identity(certificates: [.file(files.certificate.path)], privateKey: .file(files.key.path))
            try await given.run(over: .endpoint("tcps://localhost:0", server: TLSOptions(identity: identity)))
        }
    }

    @Test(arguments: TransportConformance.cases)
    func mutualTLS(_ given: TransportConformance.Case) async throws {
        try await withFolder { folder in
            let authority = try TestAuthority(in: URL(fileURLWithPath: folder))
            func options(_ name: String) throws -> TLSOptions {
                let files = try authority.issue(for: name)
                return TLSOptions(
                    identity: TLSOptions.Identity(certificates: [.file(files.certificate.path)], privateKey: .file(files.key.path)),
                    trust: .authorities([.file(authority.certificate.path)]))
            }
            try await given.run(over: .endpoint("tcpsm://localhost:0", server: options("localhost"), client: options("client")))
        }
    }
}
