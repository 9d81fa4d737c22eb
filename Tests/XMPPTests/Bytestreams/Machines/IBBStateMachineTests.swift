import NIOCore
import Testing

@testable import XMPP

@Suite struct IBBStateMachineTests {
    private let now = NIODeadline.uptimeNanoseconds(0)

    private func machine(window: Int = 4, receiveWindow: Int = 2) -> IBBStateMachine {
        IBBStateMachine(window: OutboundWindow(initial: window, maximum: window), receiveWindow: receiveWindow)
    }

    // MARK: Receiving

    @Test func deliversInOrderAndAcknowledgesWhatWasRead() {
        var machine = machine()
        check(machine.received(id: "a", sequence: 0, isIntact: true), .deliver)
        check(machine.received(id: "b", sequence: 1, isIntact: true), .deliver)
        check(machine.delivered(blocks: 0), [])
        check(machine.delivered(blocks: 1), ["a"])
        check(machine.received(id: "c", sequence: 2, isIntact: true), .deliver)
        check(machine.delivered(blocks: 5), ["b", "c"])
        check(machine.delivered(blocks: 1), [])
    }

    @Test(arguments: [
        (UInt16?.none, true, StanzaError.badRequest),
        (1, true, .unexpectedRequest),
        (65535, true, .unexpectedRequest),
        (0, false, .badRequest),
        // A wrong number is said to be wrong even if the text is broken too.
        (3, false, .unexpectedRequest),
    ])
    func aBrokenBlockEndsIt(_ sequence: UInt16?, _ isIntact: Bool, _ answer: StanzaError) {
        var machine = machine()
        guard case .fail(answer, unanswered: [], _) = machine.received(id: "a", sequence: sequence, isIntact: isIntact) else {
            Issue.record("the block was taken")
            return
        }
        check(machine.received(id: "b", sequence: 0, isIntact: true), .refuse(.itemNotFound))
        check(machine.nextBlock(at: now), nil)
        check(machine.lost(), .ignore)
    }

    @Test func aBlockBeyondTheWindowEndsItAndAccountsForTheOthers() {
        var machine = machine(receiveWindow: 2)
        check(machine.received(id: "a", sequence: 0, isIntact: true), .deliver)
        check(machine.received(id: "b", sequence: 1, isIntact: true), .deliver)
        guard case .fail(.resourceConstraint, ["a", "b"], _) = machine.received(id: "c", sequence: 2, isIntact: true) else {
            Issue.record("the block was taken")
            return
        }
        check(machine.delivered(blocks: 2), [])
    }

    @Test func aRepeatedBlockEndsIt() {
        var machine = machine()
        check(machine.received(id: "a", sequence: 0, isIntact: true), .deliver)
        guard case .fail(.unexpectedRequest, ["a"], _) = machine.received(id: "b", sequence: 0, isIntact: true) else {
            Issue.record("the block was taken")
            return
        }
    }

    @Test func sequenceNumbersWrapBothWays() {
        var machine = machine(window: 1)
        for index in 0..<70_000 {
            let sequence = UInt16(truncatingIfNeeded: index)
            guard machine.received(id: "a", sequence: sequence, isIntact: true) == .deliver,
                machine.delivered(blocks: 1) == ["a"],
                machine.nextBlock(at: now) == sequence,
                machine.acknowledged(sequence: sequence, at: now)
            else {
                Issue.record("stopped at \(index)")
                return
            }
        }
        check(machine.nextBlock(at: now), 4464)
    }

    // MARK: Sending

    @Test func sendsWithinTheWindow() {
        var machine = machine(window: 2)
        check(machine.maySend, true)
        check(machine.nextBlock(at: now), 0)
        check(machine.nextBlock(at: now), 1)
        check(machine.maySend, false)
        check(machine.nextBlock(at: now), nil)
        check(machine.acknowledged(sequence: 5, at: now), false)
        check(machine.acknowledged(sequence: 0, at: now), true)
        check(machine.acknowledged(sequence: 0, at: now), false)
        check(machine.nextBlock(at: now), 2)
    }

    // MARK: Ending

    @Test func closingWithNothingLeftEndsIt() {
        var machine = machine()
        check(machine.received(id: "a", sequence: 0, isIntact: true), .deliver)
        check(machine.closed(bytesWait: false), .ended(unanswered: ["a"]))
        check(machine.closed(bytesWait: false), .ignore)
        check(machine.receivedClose(), .ignore)
        check(machine.isSending, false)
    }

    @Test func closingWithBytesLeftSendsThemFirst() {
        var machine = machine(window: 1)
        check(machine.received(id: "a", sequence: 0, isIntact: true), .deliver)
        check(machine.closed(bytesWait: true), .goesOn)
        check(machine.closed(bytesWait: true), .ignore)
        check(machine.received(id: "b", sequence: 1, isIntact: true), .drop)
        check(machine.delivered(blocks: 1), [])
        check(machine.nextBlock(at: now), 0)
        check(machine.isSending, true)
        check(machine.maySend, false)
        check(machine.acknowledged(sequence: 0, at: now), true)
        check(machine.nextBlock(at: now), 1)
        check(machine.sentEverything(), ["a", "b"])
        check(machine.sentEverything(), nil)
    }

    @Test func whileItSendsTheRestTheRulesHold() {
        var machine = machine()
        check(machine.closed(bytesWait: true), .goesOn)
        guard case .fail(.unexpectedRequest, [], _) = machine.received(id: "a", sequence: 9, isIntact: true) else {
            Issue.record("the block was taken")
            return
        }
    }

    @Test func thePeersCloseLetsTheRestBeRead() {
        var machine = machine()
        check(machine.received(id: "a", sequence: 0, isIntact: true), .deliver)
        check(machine.receivedClose(), .goesOn)
        check(machine.receivedClose(), .ignore)
        check(machine.received(id: "b", sequence: 1, isIntact: true), .refuse(.itemNotFound))
        check(machine.nextBlock(at: now), nil)
        check(machine.maySend, false)
        check(machine.isSending, false)
        check(machine.acknowledged(sequence: 0, at: now), false)
        check(machine.sentEverything(), nil)
        check(machine.delivered(blocks: 1), ["a"])
        check(machine.closed(bytesWait: true), .ended(unanswered: []))
    }

    @Test func thePeersCloseEndsWhatWeWereFinishing() {
        var machine = machine()
        check(machine.received(id: "a", sequence: 0, isIntact: true), .deliver)
        check(machine.closed(bytesWait: true), .goesOn)
        check(machine.receivedClose(), .ended(unanswered: ["a"]))
    }

    @Test(arguments: 0..<4)
    func aLossEndsEveryState(_ state: Int) {
        var machine = machine()
        check(machine.received(id: "a", sequence: 0, isIntact: true), .deliver)
        switch state {
        case 0: break
        case 1: check(machine.closed(bytesWait: true), .goesOn)
        case 2: check(machine.receivedClose(), .goesOn)
        default:
            check(machine.lost(), .ended(unanswered: ["a"]))
            check(machine.lost(), .ignore)
            return
        }
        check(machine.lost(), .ended(unanswered: ["a"]))
        check(machine.sentEverything(), nil)
        check(machine.closed(bytesWait: true), .ignore)
    }
}
