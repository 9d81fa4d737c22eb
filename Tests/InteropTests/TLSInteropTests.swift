import Foundation
import QiMeshTesting
import QiMessaging
import QiWire
import Testing

/// libqi as a client of `tcps`: TLS 1.2, and whatever certificate (wire reference §24).
@Suite(.timeLimit(.minutes(8)))
struct TLSInteropTests {
    private func identity(in home: String) throws -> TLSOptions {
        let files = try TestAuthority(in: URL(fileURLWithPath: home)).issue(for: "elsewhere")
        return TLSOptions(
            identity: TLSOptions.Identity(certificates: [.file(files.certificate.path)], privateKey: .file(files.key.path)))
    }

    /// The directory, and a service on its connection.
    @Test func pythonUsesADirectoryOverTLS() async throws {
        try await withHome { home in
            try await withDirectory(home: home, at: "tcps://127.0.0.1:0", tls: identity(in: home)) { directory, url in
                #expect(url.hasPrefix("tcps://127.0.0.1:"))
                _ = try await directory.register(PeerService.object(), as: "Ours")
                try await runBattery(url, home: home, ["--service", "Ours"])
            }
        }
    }

    /// A service whose only endpoint is TLS, of a directory that is not.
    @Test func pythonDialsAServiceOverTLS() async throws {
        try await withHome { home in
            try await withDirectory(home: home) { _, url in
                try await withSession(url, home: home, listen: ["tcps://127.0.0.1:0"], tls: identity(in: home)) { session in
                    _ = try await session.register(PeerService.object(), as: "Ours")
                    let endpoints = try await session.info(of: "Ours").endpoints
                    #expect(endpoints.count == 1 && endpoints[0].hasPrefix("tcps://"))
                    try await runBattery(url, home: home, ["--service", "Ours"])
                }
            }
        }
    }

    /// A Python service that registers over TLS, used by a session of ours over TLS, and by Python.
    @Test func pythonServesOverTLS() async throws {
        try await withHome { home in
            try await withDirectory(home: home, at: "tcps://127.0.0.1:0", tls: identity(in: home)) { _, url in
                try await withPeer("service.py", ["--url", url], home: home) { service in
                    #expect(try await service.requiredLine() == "ready")
                    try await runBattery(url, home: home)
                    try await withSession(url, home: home) { session in
                        let value = try await session.service("Peer").call("slow", arguments: [.double(0)])
                        #expect(value == .string("after 0 s"))
                    }
                }
            }
        }
    }
}
