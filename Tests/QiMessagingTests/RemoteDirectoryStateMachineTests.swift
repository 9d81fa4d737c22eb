import QiWire
import Testing

@testable import QiMessaging

struct RemoteDirectoryStateMachineTests {
    private typealias Machine = RemoteDirectory.StateMachine<Int>
    private let reason = QiError(.offline, "not yet")
    private let lost = QiError(.disconnected, "lost")

    private func isJoin(_ answer: Machine.OnSought) -> Bool { if case .join = answer { true } else { false } }
    private func isWait(_ answer: Machine.OnSought) -> Bool { if case .wait = answer { true } else { false } }
    private func isUp(_ answer: Machine.OnSought) -> Bool { if case .isUp = answer { true } else { false } }

    @Test func oneAttemptServesAllWhoSeekTheDirectory() {
        var machine = Machine(reason)
        #expect(machine.away?.message == "not yet")
        let first = machine.sought(by: 1)
        #expect(isJoin(first))
        let second = machine.sought(by: 2)
        #expect(isWait(second))
        #expect(!machine.isUp)
        let third = machine.joined()
        #expect(third == [1, 2])
        #expect(machine.away == nil)
        let fourth = machine.sought(by: 3)
        #expect(isUp(fourth))
    }

    @Test func failedAttemptIsToldToItsWaitersAndTheNextSeekerTriesAnew() {
        var machine = Machine(reason)
        _ = machine.sought(by: 1)
        let failed = machine.failed(QiError(.offline, "refused"))
        #expect(failed.waiters == [1] && failed.isNews)
        #expect(machine.away?.message == "refused")
        let first = machine.sought(by: 2)
        #expect(isJoin(first))
        let second = machine.failed(QiError(.offline, "refused"))
        #expect(!second.isNews)
        _ = machine.sought(by: 3)
        let third = machine.failed(QiError(.offline, "no route"))
        #expect(third.isNews)
    }

    @Test func theSameReasonIsNewsAgainAfterTheDirectoryWasUp() {
        var machine = Machine(reason)
        _ = machine.sought(by: 1)
        _ = machine.failed(QiError(.offline, "refused"))
        _ = machine.sought(by: 1)
        _ = machine.joined()
        let first = machine.lost(lost)
        #expect(first)
        _ = machine.sought(by: 1)
        let second = machine.failed(QiError(.offline, "refused"))
        #expect(second.isNews)
    }

    @Test func aLossCountsOnceAndOnlyWhenUp() {
        var machine = Machine(reason)
        let first = machine.lost(lost)
        #expect(!first)
        _ = machine.sought(by: 1)
        let second = machine.lost(lost)
        #expect(!second)
        _ = machine.joined()
        let third = machine.lost(lost)
        #expect(third)
        #expect(machine.away?.message == "lost")
        let fourth = machine.lost(lost)
        #expect(!fourth)
    }

    @Test func oneLoopComesBackAtATime() {
        var machine = Machine(reason)
        let first = machine.comesBack()
        #expect(first)
        let second = machine.comesBack()
        #expect(!second)
        machine.cameBack()
        let third = machine.comesBack()
        #expect(third)
    }

    @Test func nothingBeginsAfterTheEnd() {
        var machine = Machine(reason)
        _ = machine.sought(by: 1)
        let first = machine.ended(lost)
        #expect(first == [1])
        let second = machine.joined()
        #expect(second == nil)
        let third = machine.failed(reason)
        #expect(third.waiters.isEmpty)
        let fourth = machine.comesBack()
        #expect(!fourth)
        #expect(machine.isEnded)
        if case .fail(let error) = machine.sought(by: 2) { #expect(error.message == "lost") } else { Issue.record("joins after the end") }
    }
}

struct ServiceTableTests {
    private final class Fake: ServiceInUse {
        var hasPath = true
    }

    private typealias Table = ServiceTable<Fake, Int>

    private func isLookUp(_ answer: Table.OnSought) -> Bool { if case .lookUp = answer { true } else { false } }
    private func isWait(_ answer: Table.OnSought) -> Bool { if case .wait = answer { true } else { false } }

    @Test func oneLookUpServesAllWhoSeekAName() {
        var table = Table()
        let first = table.sought("a", by: 1)
        #expect(isLookUp(first))
        let second = table.sought("a", by: 2)
        #expect(isWait(second))
        let third = table.sought("b", by: 3)
        #expect(isLookUp(third))
        let service = Fake()
        table.used("a", service)
        let fourth = table.lookedUp("a")
        #expect(fourth == [1, 2])
        if case .found(let found) = table.sought("a", by: 4) { #expect(found === service) } else { Issue.record("not found") }
    }

    @Test func aMissingServiceIsLookedUpAndKept() {
        var table = Table()
        let service = Fake()
        table.used("a", service)
        service.hasPath = false
        let first = table.sought("a", by: 1)
        #expect(isLookUp(first))
        #expect(table.services["a"] === service)
    }

    @Test func oneRestoringOfAServiceRunsAtATime() {
        var table = Table()
        let unknown = table.beginRestoring("a")
        #expect(unknown == nil)
        let service = Fake()
        table.used("a", service)
        let first = table.beginRestoring("a")
        #expect(first === service)
        let second = table.beginRestoring("a")
        #expect(second == nil)
        table.endedRestoring("a", service)
        let third = table.beginRestoring("a")
        #expect(third === service)
    }

    @Test func aServiceThatTookANameOverIsRestoredBesideTheOneOfBefore() {
        var table = Table()
        let (before, after) = (Fake(), Fake())
        table.used("a", before)
        _ = table.beginRestoring("a")
        _ = table.gone("a")
        table.used("a", after)
        let begun = table.beginRestoring("a")
        #expect(begun === after)
        table.endedRestoring("a", before)
        let again = table.beginRestoring("a")
        #expect(again == nil)
    }

    @Test func theEndReachesEverySeekerAndService() {
        var table = Table()
        let service = Fake()
        table.used("a", service)
        _ = table.sought("b", by: 1)
        _ = table.sought("b", by: 2)
        let ended = table.ended()
        #expect(ended.services.count == 1 && ended.services.first === service)
        #expect(ended.seekers == [1, 2])
        #expect(table.services.isEmpty)
        let left = table.lookedUp("b")
        #expect(left.isEmpty)
    }

    @Test func aServiceThatIsBeingLookedUpIsNotForgotten() {
        var table = Table()
        let service = Fake()
        table.used("a", service)
        service.hasPath = false
        _ = table.sought("a", by: 1)
        let first = table.unused("a")
        #expect(first == nil)
        _ = table.lookedUp("a")
        let second = table.unused("a")
        #expect(second === service)
        #expect(table.services.isEmpty)
    }

    @Test func whatIsGoneIsNotInUse() {
        var table = Table()
        let service = Fake()
        table.used("a", service)
        let first = table.gone("a")
        #expect(first === service)
        let second = table.gone("a")
        #expect(second == nil)
        let third = table.sought("a", by: 1)
        #expect(isLookUp(third))
    }
}

struct RemovedMeanwhileTests {
    @Test func whatIsRemovedAfterAQuestionVoidsItsAnswer() {
        var removed = RemovedMeanwhile()
        let first = removed.asked()
        #expect(!removed.contains(7, since: first))
        removed.remove(7)
        #expect(removed.contains(7, since: first))
        #expect(!removed.contains(8, since: first))
    }

    @Test func aQuestionThatIsSentAfterTheRemovalIsNotConcerned() {
        var removed = RemovedMeanwhile()
        let first = removed.asked()
        removed.remove(7)
        let second = removed.asked()
        #expect(!removed.contains(7, since: second))
        removed.answered(second)
        #expect(removed.contains(7, since: first))
    }

    @Test func whatIsThereAgainIsNotRemoved() {
        var removed = RemovedMeanwhile()
        let question = removed.asked()
        removed.remove(7)
        removed.add(7)
        #expect(!removed.contains(7, since: question))
    }

    @Test func nothingIsRememberedWithoutAQuestion() {
        var removed = RemovedMeanwhile()
        let first = removed.asked()
        removed.remove(7)
        removed.answered(first)
        removed.remove(8)
        #expect(!removed.contains(7, since: first))
        #expect(!removed.contains(8, since: first))
    }

    @Test func beyondTheBoundEveryAnswerUnderWayIsVoid() {
        var removed = RemovedMeanwhile()
        let question = removed.asked()
        for id in 0...UInt32(RemovedMeanwhile.maximum) { removed.remove(id) }
        #expect(removed.contains(UInt32(RemovedMeanwhile.maximum), since: question))
        #expect(removed.contains(.max, since: question))
        let later = removed.asked()
        #expect(!removed.contains(.max, since: later))
    }
}

struct ServiceIdentityTests {
    private func identity(
        id: UInt32 = 3, session: String = "s", uid: String = "u", method: String = "say", name: String = "A"
    ) -> ServiceIdentity {
        var builder = MetaObjectBuilder()
        builder.addMethod(method, parameters: "(s)", returns: "v")
        let info = ServiceInfo(
            name: name, serviceID: id, machineID: "m", processID: 1, endpoints: [], sessionID: session, objectUID: Array(uid.utf8))
        return ServiceIdentity(info: info, metaObject: builder.build())
    }

    @Test func theObjectRuleAsksForHostAndMembers() {
        #expect(identity().isSame(as: identity(), by: .object))
        #expect(!identity().isSame(as: identity(id: 4), by: .object))
        #expect(!identity().isSame(as: identity(session: "t"), by: .object))
        #expect(!identity().isSame(as: identity(uid: "v"), by: .object))
        #expect(!identity().isSame(as: identity(method: "shout"), by: .object))
    }

    @Test func theInterfaceRuleAsksForNameAndMembers() {
        #expect(identity().isSame(as: identity(id: 4, session: "t", uid: "v"), by: .interface))
        #expect(!identity().isSame(as: identity(method: "shout"), by: .interface))
        #expect(!identity().isSame(as: identity(name: "B"), by: .interface))
    }
}
