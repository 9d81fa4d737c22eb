@testable import QiMesh
import QiMessaging
import Testing
import XMPP

/// Values and errors of the node, through the bytes of the bus.
@Suite struct AnswerTests {
    private func sent<Value: QiConvertible & Sendable>(_ body: () async throws -> Value) async throws -> Answer<Value> {
        var bytes = ByteBuffer()
        try await Answer(body).write(to: &bytes)
        return try Answer(reading: &bytes)
    }

    private func failure(_ error: any Error) async throws -> MeshError? {
        let answer = try await sent { () throws -> String in throw error }
        return #expect(throws: MeshError.self) { try answer.get() }
    }

    @Test func valueArrives() async throws {
        #expect(try await sent { "told" }.get() == "told")
        #expect(try await sent { [ForgottenKey(jid: "a@b", known: true)] }.get() == [ForgottenKey(jid: "a@b", known: true)])
    }

    @Test func errorArrivesWithAdviceAndCauses() async throws {
        let cause = MeshError(.closed, "it went", cause: QiError(.timedOut, "5 s"))
        let error = try await failure(MeshError(.trust, "another key: (try: rm)", hint: "qimesh trust a@b", cause: cause))
        #expect(error?.code == .trust && error?.message == "another key: (try: rm)" && error?.hint == "qimesh trust a@b")
        #expect(error?.causes == ["it went", "5 s"])
    }

    @Test func limitTellsWhenToComeBack() async throws {
        var limit = QiError(.limit, "3 calls per second")
        limit.retryAfter = .milliseconds(1_500)
        let error = try await failure(limit)
        #expect(error?.code == .limit && error?.retryAfter == .milliseconds(1_500) && error?.hint == nil)
    }

    /// What a command brings was typed: what is not valid in it is a mistake of usage.
    @Test func errorsOfEveryLayerHaveACode() async throws {
        let errors: [(any Error, MeshError.Code)] = [
            (QiError(.invalid, "x"), .usage), (QiError(.disconnected, "x"), .closed), (QiError(.remote, "x"), .remote),
            (XMPPError(.notConnected, "x"), .offline), (XMPPError(.notAuthorized, "x"), .authentication),
            (XMPPError(.stanza, "x"), .remote), (CancellationError(), .cancelled), (WireError(.conversion, "x"), .remote),
        ]
        for (error, code) in errors { #expect(try await failure(error)?.code == code, "\(error)") }
    }

    @Test func codeOfALaterVersionIsRemote() {
        var failure = NodeFailure(MeshError(.offline, "m", hint: "h"))
        failure.code = "later"
        #expect(failure.error.code == .remote && failure.error.message == "m" && failure.error.hint == "h")
    }

    @Test func codesOfTheBusComeBack() {
        let codes: [QiError.Code] = [
            .remote, .notFound, .denied, .offline, .timedOut, .disconnected, .cancelled, .invalid, .conflict, .limit, .unsupported,
        ]
        for code in codes { #expect(QiError.Code(MeshError.Code(code)) == code) }
        // The state of files and keys is for the owner of this device.
        for code in [MeshError.Code.system, .trust, .identity, .configuration, .authentication] {
            #expect(QiError.Code(code) == .denied)
        }
    }
}
