import NIOCore
import QiWire
import Testing

@testable import QiMessaging

/// What an answer tells of whether a method ran, and which methods may run twice.
struct CallFateTests {
    private func error(_ text: String) -> CallAnswer {
        var payload = ByteBuffer()
        payload.writeErrorPayload(text)
        return .error(payload)
    }

    @Test(arguments: ["it broke", "denied: no", "limit: too many", "not-found: no such member", "invalid: x", ""])
    func anErrorOfTheMethodIsItsAnswer(_ text: String) {
        #expect(CallFate(error(text), isLost: false, hasLeft: true) == .answered)
    }

    @Test func whatANodeThatStopsRefusesHasNotRun() {
        let text = "offline: this node is stopping (try again when it has started anew)"
        #expect(CallFate(error(text), isLost: false, hasLeft: true) == .notRun(text))
    }

    @Test func aCallToAServiceThatWasUnregisteredHasNotRun() {
        let text = "The call request could not be handled."
        #expect(CallFate(error(text), isLost: false, hasLeft: true) == .notRun(text))
    }

    @Test(arguments: ["closed: the connection was lost", "offline: the owner is gone"])
    func aCallWhoseHostIsGoneMayHaveRun(_ text: String) {
        let message = text.split(separator: ": ").last.map(String.init) ?? ""
        #expect(CallFate(error(text), isLost: false, hasLeft: true) == .mayHaveRun(message))
    }

    @Test(arguments: [true, false]) func aCallOnALostConnectionMayHaveRunIfItHasLeft(_ hasLeft: Bool) {
        let answer = CallAnswer.failure(QiError(.denied, "revoked"))
        #expect(CallFate(answer, isLost: true, hasLeft: hasLeft) == (hasLeft ? .mayHaveRun("revoked") : .notRun("revoked")))
    }

    @Test func aCallThatCannotBeSentIsToldToItsCaller() {
        #expect(CallFate(.failure(QiError(.limit, "too long")), isLost: false, hasLeft: false) == .answered)
    }

    private var members: MetaObject {
        var builder = MetaObjectBuilder()
        builder.addMethod("detect", parameters: "(s)", returns: "s", description: "Looks. [idempotent]")
        builder.addMethod("getModel", parameters: "()", returns: "s")
        builder.addMethod("learn", parameters: "(s)", returns: "v", description: "Not idempotent.")
        return builder.build()
    }

    @Test(arguments: [
        ([], ["detect"]), (["Detector.get*"], ["detect", "getModel"]), (["Other.*", "Detector"], ["detect"]),
        (["Detector.*"], ["detect", "getModel", "learn"]),
    ])
    func aMethodMayRunTwiceByItsDescriptionOrByAPattern(_ patterns: [String], _ expected: [String]) {
        let methods = IdempotentMethods(members, of: "Detector", patterns: patterns.map { NameGlob($0) })
        let found = members.methods.filter { !$0.isPrivate && methods.contains($0.uid) }.map(\.name)
        #expect(found.sorted() == expected)
        #expect(methods.contains(WellKnownActions.property) && !methods.contains(WellKnownActions.setProperty))
    }
}
