import Testing

@testable import QiMesh

@Suite struct MeshErrorTests {
    @Test func printsMessageAndHint() {
        #expect("\(MeshError(.offline, "pepper is offline"))" == "pepper is offline")
        #expect(
            "\(MeshError(.offline, "pepper is offline", hint: "--wait-online 5m"))" == "pepper is offline (try: --wait-online 5m)"
        )
    }

    @Test func detailsFollowTheCauses() {
        let inner = MeshError(.timedOut, "inner")
        let middle = MeshError(.offline, "middle", cause: inner)
        let text = MeshError(.remote, "outer", hint: "do", cause: middle).detailedDescription()
        #expect(text.hasPrefix("remote: outer\n  try: do\n  at QiMeshTests/MeshErrorTests.swift:"))
        #expect(text.hasSuffix("  because: middle\n  because: inner"))
    }

    @Test(arguments: [
        (MeshError.Code.remote, "remote", 1, false), (.usage, "usage", 2, false), (.notFound, "not-found", 3, false),
        (.denied, "denied", 4, false), (.authentication, "authentication", 4, false), (.trust, "trust", 4, false),
        (.offline, "offline", 5, true), (.closed, "closed", 5, true), (.timedOut, "timed-out", 6, true),
        (.configuration, "configuration", 7, false), (.identity, "identity", 7, false), (.cancelled, "cancelled", 130, false),
        (.tooLarge, "too-large", 1, false), (.limit, "limit", 1, false), (.conflict, "conflict", 1, false), (.unmet, "unmet", 8, false),
        (.unsupported, "unsupported", 1, false), (.violation, "violation", 1, false),
        (.system, "system", 1, false),
    ])
    func codes(code: MeshError.Code, word: String, exitStatus: Int32, retryable: Bool) {
        #expect(code.description == word && MeshError.Code(word: word) == code)
        #expect(code.exitStatus == exitStatus)
        #expect(code.isRetryable == retryable)
    }
}
