import NIOPosix
import QiMessaging
import QiWire
import Testing
import XMPP

@testable import QiMesh

/// One attempt to reach a device is one value: what it says, and why it was refused, do not mix with those of another attempt.
@Suite(.timeLimit(.minutes(8))) struct TunnelAttemptTests {
    private static let device = "pepper@lab.example"
    private static let own = "desk@lab.example"

    /// A node's way to `device`, its contact, over an account that does not run.
    private func withPaths(_ body: (AccountPaths, TrustStore, XMPPGateway) async throws -> Void) async throws {
        try await withTemporaryDirectory { folder in
            let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
            let server = try await DirectoryServer.make(on: loop, machineID: "test-machine")
            let trust = try TrustStore(file: folder + "/trust.json")
            let identity = CurrentIdentity(try DeviceIdentity.loadOrCreate(directory: folder), directory: folder)
            let gateway = try XMPPGateway(
                account: .init(jid: Self.own), password: { () throws(MeshError) in throw MeshError(.configuration, "none") },
                device: .init(), server: server, trust: trust, identity: identity, limits: .init(), logger: quiet)
            try trust.admit(Self.device, of: Self.own, name: nil, by: .approved)
            do {
                try await body(AccountPaths(AccountSet(running: gateway)), trust, gateway)
            } catch {
                await loop.shutDown()
                throw error
            }
            await loop.shutDown()
        }
    }

    @Test func aContactThatGoesAwayWhileItsTunnelIsSetUpIsSaidToBeNone() async throws {
        try await withPaths { paths, trust, _ in
            let attempt = try paths.attempt(Self.device)
            #expect(attempt.credentials == TunnelNames(from: Self.own, to: Self.device).credentials)
            #expect(try trust.removeContact(Self.device, of: Self.own))
            let answer = TunnelNames(from: Self.device, to: Self.own).credentials
            let error = #expect(throws: QiError.self) { try attempt.verify(answer) }
            #expect(error?.code == .denied && error?.message == "\(Self.device) is no contact any more")
            #expect(attempt.refusal == nil)
            let later = #expect(throws: QiError.self) { _ = try paths.attempt(Self.device) }
            #expect(later?.message == error?.message)
        }
    }

    @Test func theKeyShownToOneAttemptIsNotThatOfAnother() async throws {
        try await withPaths { paths, _, _ in
            let answer = TunnelNames(from: Self.device, to: Self.own).credentials
            let first = try #require(try paths.attempt(Self.device) as? TunnelAttempt)
            let second = try paths.attempt(Self.device)
            #expect(first.key.examined(.success(key(6))))
            let error = #expect(throws: QiError.self) { try second.verify(answer) }
            #expect(error?.code == .denied && error?.message == "\(Self.device) showed no key")
            try first.verify(answer)
        }
    }

    @Test func anAttemptWithoutAConnectionToTheServerSaysSo() async throws {
        try await withPaths { paths, _, gateway in
            let attempt = try paths.attempt(Self.device)
            let error = await #expect(throws: QiError.self) {
                try await attempt.open(on: gateway.server.loop.eventLoop) { $0.eventLoop.makeSucceededVoidFuture() }
            }
            #expect(error?.code == .offline && error?.message.hasSuffix("this node is not connected to lab.example") == true)
        }
    }
}
