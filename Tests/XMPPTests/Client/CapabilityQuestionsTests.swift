import NIOCore
import Testing

@testable import XMPP

struct CapabilityQuestionsTests {
    private static let zero = NIODeadline.uptimeNanoseconds(0)

    private static func jid(_ number: Int, resource: Int = 0) throws -> JID { try #require(JID("d\(number)@mesh.test/r\(resource)")) }

    private static func capabilities(_ version: String) -> PresenceResource.Capabilities {
        PresenceResource.Capabilities(node: "n", version: version, hash: "sha-1")
    }

    @Test func everyHashIsAskedHoweverManyThereAre() throws {
        var questions = CapabilityQuestions()
        for number in 0..<100 { questions.wanted(try Self.jid(number), Self.capabilities("\(number)")) }
        var asked: Set<String> = []
        var running = questions.next(now: Self.zero)
        #expect(running.count == CapabilityQuestions.atOnce)
        while let question = running.popLast() {
            asked.insert(question.capabilities.version)
            questions.answered(question, isShared: true)
            running += questions.next(now: Self.zero)
            #expect(running.count <= CapabilityQuestions.atOnce)
        }
        #expect(asked.count == 100)
        #expect(questions.count == 0)
    }

    @Test func devicesOfOneVersionAreOneQuestion() throws {
        var questions = CapabilityQuestions()
        let shared = Self.capabilities("same")
        for number in 0..<200 { questions.wanted(try Self.jid(number), shared) }
        let asked = questions.next(now: Self.zero)
        #expect(asked.count == 1)
        questions.answered(asked[0], isShared: true)
        #expect(questions.next(now: Self.zero).isEmpty)
        #expect(questions.count == 0)
    }

    @Test func answerThatDoesNotVerifyIsForTheAskedOneAlone() throws {
        var questions = CapabilityQuestions()
        let shared = Self.capabilities("forged")
        for number in 0..<5 { questions.wanted(try Self.jid(number), shared) }
        let first = questions.next(now: Self.zero)
        #expect(first.count == 1)
        questions.answered(first[0], isShared: false)
        #expect(questions.next(now: Self.zero).count == 4)
    }

    @Test func aConnectionThatShowsItselfAnewIsAskedWithoutAPause() throws {
        var questions = CapabilityQuestions()
        let jid = try Self.jid(0)
        questions.wanted(jid, Self.capabilities("v"))
        let asked = questions.next(now: Self.zero)
        #expect(questions.failed(asked[0], now: Self.zero) == .again(.seconds(5)))
        #expect(questions.next(now: Self.zero).isEmpty)
        questions.shown(jid)
        questions.wanted(jid, Self.capabilities("v"))
        let again = questions.next(now: Self.zero)
        // Failures before count on.
        #expect(again.map(\.jid) == [jid] && again.map(\.failures) == [1])
        #expect(questions.next(now: Self.zero).isEmpty && questions.count == 1)
    }

    @Test func failedQuestionIsAskedAgainWithGrowingPausesAndThenGivenUp() throws {
        var questions = CapabilityQuestions()
        var now = Self.zero
        questions.wanted(try Self.jid(0), Self.capabilities("v"))
        for pause: Int64 in [5, 10, 20, 40, 80] {
            let asked = questions.next(now: now)
            #expect(asked.count == 1)
            #expect(questions.failed(asked[0], now: now) == .again(.seconds(pause)))
            #expect(questions.next(now: now + .seconds(pause) - .milliseconds(1)).isEmpty)
            now = now + .seconds(pause)
        }
        let last = questions.next(now: now)
        #expect(questions.failed(last[0], now: now) == .givenUp)
        #expect(questions.count == 0)
        // It came anew.
        questions.wanted(try Self.jid(0), Self.capabilities("v"))
        #expect(questions.next(now: now).count == 1)
    }

    @Test func deadDeviceDoesNotHoldUpOthersOfItsVersion() throws {
        var questions = CapabilityQuestions()
        let shared = Self.capabilities("v")
        questions.wanted(try Self.jid(0), shared)
        questions.wanted(try Self.jid(1), shared)
        let first = questions.next(now: Self.zero)
        #expect(first.map(\.jid.description) == ["d0@mesh.test/r0"])
        _ = questions.failed(first[0], now: Self.zero)
        let second = questions.next(now: Self.zero)
        #expect(second.map(\.jid.description) == ["d1@mesh.test/r0"])
    }

    @Test func oneAccountTakesFewPlacesAndOneConnectionOneQuestion() throws {
        var questions = CapabilityQuestions()
        for resource in 0..<16 { questions.wanted(try Self.jid(0, resource: resource), Self.capabilities("h\(resource)")) }
        // A connection that changes what it announces all the time has one question all the same.
        for change in 0..<100 { questions.wanted(try Self.jid(0, resource: 15), Self.capabilities("c\(change)")) }
        #expect(questions.count == 16)
        #expect(questions.next(now: Self.zero).count == CapabilityQuestions.ofOneAccount)
        questions.wanted(try Self.jid(1), Self.capabilities("other"))
        let other = questions.next(now: Self.zero)
        #expect(other.map(\.jid.description) == ["d1@mesh.test/r0"])
    }

    @Test func connectionThatIsGoneIsNotAsked() throws {
        var questions = CapabilityQuestions()
        questions.wanted(try Self.jid(0), Self.capabilities("v"))
        let asked = questions.next(now: Self.zero)
        questions.wanted(try Self.jid(1), Self.capabilities("v"))
        questions.gone(try Self.jid(1))
        questions.dropped(asked[0])
        #expect(questions.next(now: Self.zero).isEmpty)
        #expect(questions.count == 0)
    }
}
