import Foundation
import NIOCore
import NIOSSL
@testable import QiMessaging
import QiMeshTesting
import QiWire
import Testing

@Suite(.timeLimit(.minutes(8)))
struct TLSTests {
    /// Certificates of one test: two authorities, and what they issued.
    private struct Certificates {
        let authority: TLSOptions.Source
        let stranger: TLSOptions.Source
        private let one: TestAuthority
        private let other: TestAuthority

        init(in folder: String) throws {
            let folder = URL(fileURLWithPath: folder)
            one = try TestAuthority(in: folder, name: "one")
            other = try TestAuthority(in: folder, name: "other")
            authority = .file(one.certificate.path)
            stranger = .file(other.certificate.path)
        }

        func identity(_ name: String, byStranger: Bool = false) throws -> TLSOptions.Identity {
            let files = try (byStranger ? other : one).issue(for: name)
            return TLSOptions.Identity(certificates: [.file(files.certificate.path)], privateKey: .file(files.key.path))
        }
    }

    /// A directory at `scheme://localhost`, with a service that tells who asks it.
    private func withServer(
        _ scheme: String, _ tls: TLSOptions, _ body: (_ url: String, DirectoryServer) async throws -> Void
    ) async throws {
        try await withDirectory(at: "\(scheme)://localhost:0", tls: tls) { directory, endpoint in
            var builder = ObjectBuilder()
            builder.advertiseMethod("origin", "()", returns: "s") { _, context in .string(QiString("\(context.origin)")) }
            _ = try await directory.register(builder, as: "Who")
            try await body(endpoint.text, directory)
        }
    }

    /// What the service says of us when we connect with `tls`.
    private func origin(_ url: String, _ tls: TLSOptions) async throws -> String {
        var options = Session.Options()
        options.callsInProcess = false
        options.machineID = "test-machine"
        options.logger = quiet
        options.callsInProcess = false
        options.tls = tls
        return try await Session.with(url, options: options) { session in
            try await session.service("Who").call("origin")
        }
    }

    private func refusal(_ url: String, _ tls: TLSOptions) async -> QiError? {
        await #expect(throws: QiError.self) { _ = try await origin(url, tls) }
    }

    private func login(_ url: String, _ trust: TLSOptions.Trust?) async throws -> [String] {
        var options = Session.Options()
        options.machineID = "test-machine"
        options.logger = quiet
        options.credentials = Credentials(user: "nao", token: "open-sesame")
        options.tls.trust = trust
        return try await Session.with(url, options: options) { try await $0.services().map(\.name) }
    }

    /// A session needs a check, or the word `unchecked`, before it has a token to send.
    @Test func credentialsGoToNoListenerThatIsNotChecked() async throws {
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            let server = try certificates.identity("localhost")
            try await withServer("tcps", TLSOptions(identity: server)) { url, _ in
                let refused = await #expect(throws: QiError.self) { _ = try await login(url, nil) }
                #expect(refused?.code == .invalid && refused?.message.contains("would not be checked") == true)
                let key = try await Session.keyShown(at: url)
                let good: [TLSOptions.Trust] = [
                    .keys([key]), .pinned(server.certificates), .authorities([certificates.authority]), .unchecked,
                ]
                for trust in good {
                    #expect(try await login(url, trust).contains("Who"))
                }
                for trust in [.keys([]), .keys([String(key.reversed())]), .authorities([certificates.stranger])] as [TLSOptions.Trust] {
                    let error = await #expect(throws: QiError.self) { _ = try await login(url, trust) }
                    #expect(error?.code == .denied)
                }
            }
        }
    }

    @Test func theKeyShownIsThatOfTheCertificateWhateverCarriesIt() async throws {
        try await withFolder { folder in
            let identity = try Certificates(in: folder).identity("localhost")
            var keys: [String] = []
            for _ in 0..<2 {
                try await withServer("tcps", TLSOptions(identity: identity)) { url, _ in keys.append(try await Session.keyShown(at: url)) }
            }
            #expect(keys[0] == keys[1] && keys[0].utf8.count == 64)
            // No TLS, and no listener.
            try await withDirectory(at: "tcp://127.0.0.1:0") { _, endpoint in
                let url = endpoint.text.replacing("tcp:", with: "tcps:")
                _ = await #expect(throws: QiError.self) { _ = try await Session.keyShown(at: url, deadline: .seconds(5)) }
            }
            let nobody = await #expect(throws: QiError.self) { _ = try await Session.keyShown(at: "tcps://127.0.0.1:1") }
            #expect(nobody?.code == .offline)
        }
    }

    @Test func aClientOfTcpsChecksNothingUnlessItIsTold() async throws {
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            try await withServer("tcps", TLSOptions(identity: certificates.identity("elsewhere"))) { url, _ in
                let unchecked = try await origin(url, TLSOptions())
                #expect(unchecked == "tls 127.0.0.1" || unchecked == "tls ::1")
                let plain = await refusal(url.replacingOccurrences(of: "tcps:", with: "tcp:"), TLSOptions())
                #expect(plain?.message.hasSuffix("it speaks TLS (tcps://)") == true, "\(String(describing: plain))")
                // The right authority and another name.
                let error = await refusal(url, TLSOptions(trust: .authorities([certificates.authority])))
                #expect(error?.code == .denied)
                let names = "elsewhere, proxy.elsewhere, pubsub.elsewhere"
                #expect(error?.message.contains("failed: its certificate is for \(names), and not for localhost") == true, "\(String(describing: error))")
            }
        }
    }

    @Test func aClientOfTcpsWithTrustChecksAuthorityAndName() async throws {
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            try await withServer("tcps", TLSOptions(identity: certificates.identity("localhost"))) { url, _ in
                let checked = try await origin(url, TLSOptions(trust: .authorities([certificates.authority])))
                #expect(checked.hasPrefix("tls "))
                let error = await refusal(url, TLSOptions(trust: .authorities([certificates.stranger])))
                #expect(error?.code == .denied)
                #expect(error?.message.contains("TLS handshake") == true, "\(String(describing: error))")
                let issuer = "issued by CN=Test authority one, which is not trusted here"
                #expect(error?.message.contains(issuer) == true, "\(String(describing: error))")
                #expect(FailureReasonTests.isPlain(error?.message ?? ""))
            }
        }
    }

    @Test func mutual() async throws {
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            let trust = TLSOptions.Trust.authorities([certificates.authority])
            try await withServer("tcpsm", TLSOptions(identity: certificates.identity("localhost"), trust: trust)) { url, directory in
                let pepper = TLSOptions(identity: try certificates.identity("pepper"), trust: trust)
                let nao = TLSOptions(identity: try certificates.identity("nao"), trust: trust)
                let first = try await origin(url, pepper)
                let key = try #require(first.split(separator: " ").last)
                #expect(key.count == 64 && key.allSatisfy(\.isHexDigit), "\(first)")
                // A key is who one is, from wherever one comes.
                #expect(try await origin(url, pepper) == first)
                #expect(try await origin(url, nao) != first)

                #expect(await refusal(url, TLSOptions())?.code == .invalid)
                let strange = TLSOptions(identity: try certificates.identity("strange", byStranger: true), trust: trust)
                let denied = await refusal(url, strange)
                #expect(denied?.code == .denied || denied?.code == .disconnected, "\(String(describing: denied))")
                let untrusting = TLSOptions(identity: pepper.identity, trust: .authorities([certificates.stranger]))
                #expect(await refusal(url, untrusting)?.code == .denied)
                // A client of tcps shows no certificate.
                let port = url.split(separator: ":").last ?? ""
                let bare = await refusal("tcps://localhost:\(port)", TLSOptions())
                #expect(bare?.code == .denied || bare?.code == .disconnected, "\(String(describing: bare))")
                let last = try await origin(url, nao)
                #expect(last.hasPrefix("tls "))
                #expect(try await directory.services().map(\.name) == ["Who"])
            }
        }
    }

    @Test func pinned() async throws {
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            let server = try certificates.identity("elsewhere")
            let client = try certificates.identity("pepper", byStranger: true)
            let options = TLSOptions(identity: server, trust: .pinned(client.certificates))
            try await withServer("tcpsm", options) { url, _ in
                let good = TLSOptions(identity: client, trust: .pinned(server.certificates))
                #expect(try await origin(url, good).count > 64)
                let other = TLSOptions(identity: try certificates.identity("nao"), trust: .pinned(server.certificates))
                let denied = await refusal(url, other)
                #expect(denied?.code == .denied || denied?.code == .disconnected, "\(String(describing: denied))")
                let wrong = await refusal(url, TLSOptions(identity: client, trust: .pinned(client.certificates)))
                #expect(wrong?.code == .denied)
                let words = "its certificate (CN=elsewhere) is another than the one that is expected"
                #expect(wrong?.message.contains(words) == true, "\(String(describing: wrong))")
            }
        }
    }

    @Test func aCertificateSaysWhenItIsNotValid() async throws {
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            guard case .file(let path) = try certificates.identity("localhost").certificates[0] else { return }
            let certificate = try #require(NIOSSLCertificate.fromPEMFile(path).first)
            let (first, last) = (Int64(certificate.notValidBefore), Int64(certificate.notValidAfter))
            #expect(CertificateText(certificate).outdated(first) == nil && CertificateText(certificate).outdated(last) == nil)
            #expect(CertificateText(certificate).outdated(first - 1)?.hasPrefix("its certificate is valid from 20") == true)
            #expect(CertificateText(certificate).outdated(last + 1)?.hasPrefix("its certificate has expired on 20") == true)
            #expect(CertificateText(certificate).outdated(last + 1)?.hasSuffix(" UTC") == true)
            #expect(CertificateText(nil).outdated(0) == nil && !CertificateText(nil).unknownIssuer.isEmpty)
        }
    }

    @Test func aCertificateFileMayBeginWithAByteOrderMark() async throws {
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            let identity = try certificates.identity("localhost")
            guard case .file(let path) = identity.certificates[0] else { return }
            let text = try String(contentsOfFile: path, encoding: .utf8)
            try Data(("\u{FEFF}" + text.replacingOccurrences(of: "\n", with: "\r\n") + "\r\n").utf8).write(to: URL(fileURLWithPath: path))
            try await withServer("tcps", TLSOptions(identity: identity)) { url, _ in
                let shown = try await origin(url, TLSOptions(trust: .authorities([certificates.authority])))
                #expect(shown.hasPrefix("tls "))
            }
        }
    }

    @Test func whatIsMissingIsSaidWhenListening() async throws {
        for (scheme, options) in [("tcps", TLSOptions()), ("tcpsm", TLSOptions())] {
            let error = await #expect(throws: QiError.self) {
                try await withDirectory(at: "\(scheme)://127.0.0.1:0", tls: options) { _, _ in }
            }
            #expect(error?.code == .invalid)
            #expect(error?.message.contains("certificate") == true)
        }
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            let identity = try certificates.identity("localhost")
            let untrusting = await #expect(throws: QiError.self) {
                try await withDirectory(at: "tcpsm://127.0.0.1:0", tls: TLSOptions(identity: identity)) { _, _ in }
            }
            #expect(untrusting?.message.contains("trust") == true)
            let bad = TLSOptions(identity: TLSOptions.Identity(certificates: [.file("\(folder)/none")], privateKey: identity.privateKey))
            let unreadable = await #expect(throws: QiError.self) {
                try await withDirectory(at: "tcps://127.0.0.1:0", tls: bad) { _, _ in }
            }
            #expect(unreadable?.message.contains("\(folder)/none") == true)
        }
    }

    /// Bytes instead of files, and somebody who does not speak TLS at all.
    @Test func bytesServeAsWellAndRubbishHarmsNobody() async throws {
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            let files = try certificates.identity("localhost")
            guard case .file(let certificate) = files.certificates[0], case .file(let key) = files.privateKey else { return }
            let identity = TLSOptions.Identity(
                certificates: [.pem(Array(try Data(contentsOf: URL(fileURLWithPath: certificate))))],
                privateKey: .pem(Array(try Data(contentsOf: URL(fileURLWithPath: key)))))
            try await withServer("tcps", TLSOptions(identity: identity)) { url, _ in
                let endpoint = try #require(Endpoint(url.replacingOccurrences(of: "tcps", with: "tcp")))
                let raw = try await RawClient(endpoint)
                try await raw.send(ByteBuffer(string: "GET / HTTP/1.0\r\n\r\n"))
                await raw.expectClosed()
                let unharmed = try await origin(url, TLSOptions())
                #expect(unharmed.hasPrefix("tls "))
            }
        }
    }

    /// A service that is reached by TLS only.
    @Test func servicesOverTLS() async throws {
        try await withFolder { folder in
            let certificates = try Certificates(in: folder)
            let trust = TLSOptions.Trust.authorities([certificates.authority])
            let mutual = TLSOptions(identity: try certificates.identity("localhost"), trust: trust)
            try await withDirectory { _, endpoint in
                for scheme in ["tcps", "tcpsm"] {
                    var options = Session.Options()
                    options.callsInProcess = false
                    options.machineID = "test-machine"
                    options.logger = quiet
                    options.callsInProcess = false
                    options.listen = ["\(scheme)://localhost:0"]
                    options.tls = mutual
                    try await Session.with(endpoint.text, options: options) { host in
                        var builder = ObjectBuilder()
                        builder.advertiseMethod("origin", "()", returns: "s") { _, context in .string(QiString("\(context.origin)")) }
                        let hosted = try await host.register(builder, as: "Who")
                        let info = try await host.info(of: "Who")
                        #expect(info.endpoints.count == 1 && info.endpoints.allSatisfy { $0.hasPrefix("\(scheme)://localhost:") })
                        let seen = try await origin(endpoint.text, mutual)
                        #expect(seen.hasPrefix("tls "))
                        // Without a certificate tcpsm is not even tried.
                        if scheme == "tcpsm" { #expect(await refusal(endpoint.text, TLSOptions())?.code == .offline) }
                        try await host.unregister(hosted)
                    }
                }
            }
        }
    }
}
