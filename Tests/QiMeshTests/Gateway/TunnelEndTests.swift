import NIOCore
import NIOEmbedded
@testable import QiMesh
import QiMessaging
import Testing
import XMPP

/// Why a tunnel ended is told in words: by logs here, and to clients of libqi.
struct TunnelEndTests {
    @Test(arguments: [
        XMPPError(.streamClosed, "pepper@mesh.test/qimesh went offline", cause: ChannelError.eof) as any Error & Sendable,
        MeshError(.violation, "pepper@mesh.test/qimesh went offline"),
    ])
    func codesOfOtherLayersAreNotShown(_ error: any Error & Sendable) throws {
        let channel = EmbeddedChannel(handler: TunnelEndHandler())
        channel.pipeline.fireErrorCaught(error)
        let told = #expect(throws: QiError.self) { try channel.throwIfErrorCaught() }
        #expect(told?.code == .disconnected)
        #expect(told?.message == "the connection was lost: pepper@mesh.test/qimesh went offline")
        _ = try channel.finish()
    }

    @Test func whatIsToldAlreadyStays() throws {
        let channel = EmbeddedChannel(handler: TunnelEndHandler())
        channel.pipeline.fireErrorCaught(QiError(.timedOut, "pepper does not answer"))
        let told = #expect(throws: QiError.self) { try channel.throwIfErrorCaught() }
        #expect(told?.code == .timedOut && told?.message == "pepper does not answer")
        _ = try channel.finish()
    }
}
