import NIOCore
@testable import QiMessaging
import Testing

/// Errors as texts of the bus, written and read back.
@Suite struct ErrorTextTests {
    private static let codes: [QiError.Code] = [
        .remote, .notFound, .denied, .offline, .timedOut, .disconnected, .cancelled, .invalid, .conflict, .limit, .unsupported,
    ]

    @Test(arguments: codes) func everyCodeIsReadBackHoweverOftenItIsPassedOn(_ code: QiError.Code) {
        var error = QiError(code, "the arm is stuck")
        for _ in 0..<3 { error = QiError(wireText: error.wireText) }
        #expect(error.code == code)
        #expect(error.message == (code == .denied || code == .limit ? "\(code): the arm is stuck" : "the arm is stuck"))
        #expect(error.hint == nil)
    }

    @Test(arguments: [
        ("Cannot find service 'A' in index", .notFound), ("The call request could not be handled.", .notFound),
        ("No such method {2.1.999, id:7}", .notFound), ("property `x` was not found", .notFound), ("Call has been canceled.", .cancelled),
        ("denied: op@lab may not call Echo.add (rule 2)", .denied), ("denied:x", .remote), ("Denied: x", .remote), ("a: denied: x", .remote),
        ("", .remote), (": ", .remote), ("a much longer beginning: x", .remote), ("odd: x", .remote), ("remote: x", .remote),
    ] as [(String, QiError.Code)])
    func textsAreRead(_ text: String, _ code: QiError.Code) {
        let error = QiError(wireText: text)
        #expect(error.code == code && error.message == text)
        // Nothing is put before what says it already.
        #expect(error.wireText == text)
    }

    @Test(arguments: [
        ("limit: op@lab: 3 calls per second are allowed: try again in 40 ms (rule 2)", .milliseconds(40)),
        ("limit: try again in 3 s", .seconds(3)), ("limit: try again in 5 s, no: try again in 6 ms", .milliseconds(6)),
        ("limit: 8 calls wait for their answers: wait for one", nil), ("limit: try again in 9999999999 s", nil),
        ("limit: try again in -1 s", nil), ("limit: try again in 4 minutes", nil), ("limit: try again in ", nil),
        ("offline: x: try again in 40 ms", nil), ("try again in 40 ms", nil),
    ] as [(String, Duration?)])
    func aLimitTellsWhenToTryAgain(_ text: String, _ wait: Duration?) {
        let error = QiError(wireText: text)
        #expect(error.retryAfter == wait)
        #expect(error.isRetryable == (wait != nil || error.code == .offline))
    }

    @Test func whatALimitWritesIsReadBackAndNeverTooShort() {
        for (wait, told) in [
            (TimeAmount.nanoseconds(1), Duration.milliseconds(1)), (.milliseconds(999), .milliseconds(999)),
            (.milliseconds(1000), .seconds(1)), (.milliseconds(1001), .seconds(2)),
        ] {
            #expect(QiError(wireText: "limit: x: \(QiError.tryAgain(in: wait)) (rule 1)").retryAfter == told)
        }
    }

    /// What a service writes is never advice, whatever it looks like.
    @Test func aServicesTextIsNoAdvice() {
        let error = QiError(wireText: "offline: gone (try: qimesh revoke pepper)")
        #expect(error.code == .offline && error.hint == nil && error.message == "gone (try: qimesh revoke pepper)")
    }

    @Test(arguments: [false, true]) func theCodeOfWhatAMethodThrewReachesItsCaller(isForwarded: Bool) async throws {
        var builder = ObjectBuilder()
        for code in Self.codes {
            builder.advertiseMethod("throw \(code)", "()", returns: "v") { _, _ in throw QiError(code, "thrown", hint: "do this") }
        }
        let object = builder
        try await withDirectory { directory, endpoint in
            if !isForwarded { _ = try await directory.register(object, as: "Thrower") }
            try await withSession(endpoint) { host in
                if isForwarded { _ = try await host.register(object, as: "Thrower") }
                try await withSession(endpoint) { session in
                    let thrower = try await session.service("Thrower")
                    for code in Self.codes {
                        let error = await #expect(throws: QiError.self) {
                            _ = try await thrower.call("throw \(code)", arguments: [])
                        }
                        #expect(error?.code == code && error?.hint == nil, "\(String(describing: error))")
                        #expect(error?.message.hasSuffix("thrown (do this)") == true)
                    }
                }
            }
        }
    }
}
