import Foundation
import Glibc
import NIOCore
import NIOSSL
@testable import QiMessaging
import QiMeshTesting
import QiWire
import Testing

/// What people read when no listener answers, or the wrong one: the system's words, without the insides of libraries.
@Suite(.timeLimit(.minutes(8)))
struct FailureReasonTests {
    /// Types, addresses in memory, error numbers and paths of build machines: nothing of that helps to mend a connection.
    static func isPlain(_ text: String) -> Bool {
        !["NIO", "Optional", "BoringSSL", "OPENSSL", "error:", ".cc", ".swift", "(rawValue", "handshakeFailed", "nanoseconds"].contains {
            text.contains($0)
        } && text.firstMatch(of: /[0-9]{7}|[0-9]\.[0-9]{4}/) == nil
    }

    @Test(arguments: [
        ("tcp://127.0.0.1:1", "Connection refused"), ("tcp://localhost:1", "Connection refused"),
        ("tcp://no-such-host.invalid:9559", "the name no-such-host.invalid is not known"),
        ("unix:/nonexistent/sd.sock", "No such file or directory"), ("tcps://127.0.0.1:1", "Connection refused"),
    ])
    func anAddressWithoutListenerIsToldInTheWordsOfTheSystem(_ url: String, _ reason: String) async {
        var options = Session.Options()
        options.machineID = "test-machine"
        options.logger = quiet
        let error = await #expect(throws: QiError.self) { _ = try await Session.connect(url, options: options) }
        #expect(error?.code == .offline)
        #expect(error?.message == "nobody answers at \(url): \(reason)")
    }

    @Test func failuresOfChannelsAreWords() {
        #expect(FailureReason.text(ChannelError.connectTimeout(.seconds(10))) == "no answer within 10 s")
        #expect(FailureReason.text(ChannelError.connectTimeout(.milliseconds(2_500))) == "no answer within 2500 ms")
        #expect(FailureReason.text(ChannelError.ioOnClosedChannel) == "the connection was closed")
        #expect(FailureReason.text(IOError(errnoCode: EHOSTUNREACH, reason: "connect")) == "No route to host")
    }

    @Test(arguments: [
        (Duration.seconds(10), "10 s"), (.milliseconds(2_500), "2.5 s"), (.milliseconds(250), "250 ms"), (.seconds(4.123456789), "4.1 s"),
        (.milliseconds(9_990), "10 s"), (.zero, "0 ms"), (.nanoseconds(1_499_999), "1 ms"), (.seconds(3_600), "3600 s"),
    ])
    func timesHaveNoMoreDecimalsThanPeopleRead(_ duration: Duration, _ text: String) { #expect(duration.text == text) }

    @Test func aPeerWithoutTLSIsSaidToBeOne() async throws {
        try await withDirectory { _, endpoint in
            guard case .tcp(let host, let port) = endpoint.kind else { return }
            var options = Session.Options()
            options.machineID = "test-machine"
            options.logger = quiet
            let error = await #expect(throws: QiError.self) { _ = try await Session.connect("tcps://\(host):\(port)", options: options) }
            let text = error?.message ?? ""
            #expect(text.hasPrefix("the TLS handshake with \(host):\(port) failed: the other side "), "\(text)")
            #expect(Self.isPlain(text), "\(text)")
        }
    }

    @Test func filesThatHoldNoCertificateAreNamedWithTheReason() async throws {
        try await withFolder { folder in
            let path = folder + "/odd.pem"
            try write("no certificate", to: path)
            for (file, reason) in [(path, "holds no readable PEM"), (folder + "/none.pem", "cannot be read: No such file or directory")] {
                var options = Session.Options()
                options.machineID = "test-machine"
                options.logger = quiet
                options.tls.trust = .pinned([.file(file)])
                let error = await #expect(throws: QiError.self) { _ = try await Session.connect("tcps://127.0.0.1:1", options: options) }
                let text = error?.message ?? ""
                // The folder's own name may hold any digits.
                #expect(text.contains("\(file) \(reason)") && Self.isPlain(text.replacing(folder, with: "")), "\(text)")
            }
        }
    }

    @Test func aKeyOfAnotherCertificateIsNotSaidToBeDamaged() async throws {
        try await withFolder { folder in
            let authority = try TestAuthority(in: URL(fileURLWithPath: folder))
            let (one, other) = (try authority.issue(for: "one"), try authority.issue(for: "other"))
            func failure(_ certificate: URL, _ key: URL) async throws -> String? {
                let identity = TLSOptions.Identity(certificates: [.file(certificate.path)], privateKey: .file(key.path))
                let error = await #expect(throws: QiError.self) {
                    try await withDirectory(at: "tcps://127.0.0.1:0", tls: TLSOptions(identity: identity)) { _, _ in }
                }
                return error?.message
            }
            let mixed = try await failure(one.certificate, other.key)
            #expect(mixed == "TLS cannot be set up: the private key does not belong to the certificate")
            let damaged = try await failure(one.certificate, one.certificate)
            #expect(damaged?.contains("it is no private key, or damaged") == true, "\(damaged ?? "")")
        }
    }

    @Test func aNameOfAListenerThatIsNotKnownIsSaidToBeNone() async throws {
        let error = await #expect(throws: QiError.self) { try await withDirectory(at: "tcp://no-such-host.invalid:0") { _, _ in } }
        #expect(error?.message == "cannot listen at tcp://no-such-host.invalid:0: the name no-such-host.invalid is not known")
    }

    private func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
    }
}
