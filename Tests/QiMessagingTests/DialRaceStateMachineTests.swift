import NIOCore
@testable import QiMessaging
import Testing

struct DialRaceStateMachineTests {
    typealias Machine = DialRace.StateMachine

    /// What happens to a race, in milliseconds after its start.
    enum Event: Sendable {
        case start
        case stagger(at: Int64)
        case failed(Int, at: Int64)
        case connected(Int)
        case ended
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let count: Int
        /// Events, each with what the machine has to answer.
        let story: [(Event, String)]
        var testDescription: String { name }
    }

    private static func time(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(1_000_000 * (1000 + milliseconds))) }

    private static func text(_ progress: Machine.OnProgress) -> String {
        switch progress {
        case .wait: "wait"
        case .lost(let errors): "lost \(errors.map(\.message))"
        case .dial(let index, nil): "dial \(index)"
        case .dial(let index, let next?): "dial \(index), next at \((next - time(0)).nanoseconds / 1_000_000)"
        }
    }

    private func perform(_ event: Event, on machine: inout Machine) -> String {
        switch event {
        case .start: Self.text(machine.started(at: Self.time(0)))
        case .stagger(let at): Self.text(machine.staggerEnded(at: Self.time(at)))
        case .failed(let index, let at): Self.text(machine.failed(index, QiError(.offline, "e\(index)"), at: Self.time(at)))
        case .connected(let index):
            switch machine.connected(index) {
            case .discard: "discard"
            case .won(let abandoned): "won, abandon \(abandoned)"
            }
        case .ended: "abandon \(machine.ended())"
        }
    }

    @Test(arguments: [
        Case(name: "no candidate", count: 0, story: [(.start, "lost []")]),
        Case(name: "the only one answers", count: 1, story: [(.start, "dial 0"), (.connected(0), "won, abandon []"), (.connected(0), "discard")]),
        Case(name: "the only one fails", count: 1, story: [(.start, "dial 0"), (.failed(0, at: 5), "lost [\"e0\"]"), (.connected(0), "discard")]),
        Case(
            name: "the second helps a slow first, and the first wins", count: 2,
            story: [(.start, "dial 0, next at 150"), (.stagger(at: 150), "dial 1"), (.connected(0), "won, abandon [1]"), (.connected(1), "discard")]),
        Case(
            name: "the second overtakes", count: 3,
            story: [
                (.start, "dial 0, next at 150"), (.stagger(at: 150), "dial 1, next at 300"), (.connected(1), "won, abandon [0]"),
                (.stagger(at: 300), "wait"), (.failed(0, at: 400), "wait"),
            ]),
        Case(
            name: "a failure does not wait for the stagger", count: 3,
            story: [
                (.start, "dial 0, next at 150"), (.failed(0, at: 10), "dial 1, next at 160"), (.stagger(at: 150), "wait"),
                (.stagger(at: 160), "dial 2"), (.failed(2, at: 170), "wait"), (.failed(1, at: 180), "lost [\"e0\", \"e1\", \"e2\"]"),
            ]),
        Case(
            name: "the deadline", count: 2,
            story: [(.start, "dial 0, next at 150"), (.stagger(at: 150), "dial 1"), (.ended, "abandon [0, 1]"), (.connected(0), "discard"), (.ended, "abandon []")]),
        Case(
            name: "what did not run cannot fail or win", count: 2,
            story: [(.start, "dial 0, next at 150"), (.failed(1, at: 1), "wait"), (.connected(1), "discard"), (.connected(0), "won, abandon []")]),
    ])
    func runs(_ given: Case) {
        var machine = Machine(count: given.count, stagger: .milliseconds(150))
        for (index, (event, expected)) in given.story.enumerated() {
            let answer = perform(event, on: &machine)
            #expect(answer == expected, "step \(index)")
        }
    }

    @Test func oneErrorTellsOfAll() {
        let dead = QiError(.offline, "nobody answers at a")
        let refused = QiError(.denied, "b refused us")
        #expect(DialRace.combine([]).code == .offline)
        #expect(DialRace.combine([dead]).message == dead.message)
        let both = DialRace.combine([dead, refused])
        #expect(both.code == .denied)
        #expect(both.message == "nobody answers at a; b refused us")
    }
}
