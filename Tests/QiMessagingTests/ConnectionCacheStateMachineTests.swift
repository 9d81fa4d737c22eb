import NIOCore
@testable import QiMessaging
import Testing

struct ConnectionCacheStateMachineTests {
    private typealias Machine = ConnectionCache.StateMachine<String>

    private let one = Endpoint("tcp://10.0.0.1:1")!
    private let two = Endpoint("tcp://10.0.0.2:2")!
    private let socket = Endpoint("unix:/s")!

    private func time(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(1_000_000 * (1000 + milliseconds))) }

    private func machine(maximumDials: Int = 8) -> Machine {
        Machine(first: .milliseconds(100), most: .milliseconds(400), maximumDials: maximumDials)
    }

    private func text(_ answer: Machine.OnRequest) -> String {
        switch answer {
        case .use(let id): "use \(id)"
        case .wait: "wait"
        case .dial(let id, let endpoints): "dial #\(id) \(endpoints.map(\.text).joined(separator: " "))"
        case .fail(let error): "fail \(error.code)"
        }
    }

    private func request(
        _ machine: inout Machine, _ endpoints: [Endpoint], on host: String = "m", by waiter: String = "w", at now: Int64 = 0
    ) -> String {
        text(machine.requested(endpoints, on: host, by: waiter, at: time(now)))
    }

    private func resumed(_ answer: Machine.OnDialled) -> [String]? {
        if case .resume(let waiters) = answer { waiters } else { nil }
    }

    @Test func oneDialServesAllWhoWait() {
        var machine = machine()
        #expect(request(&machine, [socket, one], by: "a") == "dial #1 unix:/s tcp://10.0.0.1:1")
        #expect(request(&machine, [socket, one], by: "b") == "wait")
        // Another service of the same process, which lists one endpoint less.
        #expect(request(&machine, [one], by: "c") == "wait")
        #expect(request(&machine, [two], by: "d") == "dial #2 tcp://10.0.0.2:2")
        #expect(resumed(machine.dialled(1, 77, failed: [], at: time(1))) == ["a", "b", "c"])
        #expect(request(&machine, [one]) == "use 77")
        #expect(request(&machine, [socket]) == "use 77")
        #expect(machine.dialsRunning == 1)
    }

    @Test func anotherMachineIsAnotherHost() {
        var machine = machine()
        #expect(request(&machine, [socket], on: "m") == "dial #1 unix:/s")
        #expect(request(&machine, [socket], on: "n") == "dial #2 unix:/s")
        #expect(resumed(machine.dialled(1, 5, failed: [], at: time(0))) == ["w"])
        #expect(request(&machine, [socket], on: "m") == "use 5")
        #expect(request(&machine, [socket], on: "n") == "wait")
    }

    @Test func aClosedConnectionIsNotUsed() {
        var machine = machine()
        _ = request(&machine, [one, two])
        _ = machine.dialled(1, 5, failed: [], at: time(0))
        machine.closed(6)
        #expect(request(&machine, [two]) == "use 5")
        machine.closed(5)
        #expect(request(&machine, [two]) == "dial #2 tcp://10.0.0.2:2")
    }

    @Test func theDeadAreLeftAlone() {
        var machine = machine()
        #expect(request(&machine, [one]) == "dial #1 tcp://10.0.0.1:1")
        #expect(machine.failed(1, failed: [one], at: time(0)) == ["w"])
        // The pause is between a half of the first one and all of it.
        #expect(request(&machine, [one], at: 49) == "fail offline")
        #expect(request(&machine, [one], at: 100) == "dial #2 tcp://10.0.0.1:1")
        _ = machine.failed(2, failed: [one], at: time(100))
        #expect(request(&machine, [one], at: 199) == "fail offline")
        #expect(request(&machine, [one], at: 300) == "dial #3 tcp://10.0.0.1:1")
        for round in Int64(0)..<5 {
            _ = machine.failed(UInt64(3 + round), failed: [one], at: time(300 + 400 * round))
            #expect(request(&machine, [one], at: 300 + 400 * round + 150) == "fail offline")
            #expect(request(&machine, [one], at: 300 + 400 * (round + 1)) == "dial #\(4 + round) tcp://10.0.0.1:1")
        }
        // It answers: nothing is held against it.
        _ = machine.dialled(8, 9, failed: [], at: time(3000))
        machine.closed(9)
        #expect(request(&machine, [one], at: 3001) == "dial #9 tcp://10.0.0.1:1")
    }

    @Test func theLivingOfAHostAreDialledWithoutTheDead() {
        var machine = machine()
        _ = request(&machine, [socket, one])
        _ = machine.dialled(1, 5, failed: [socket], at: time(0))
        machine.closed(5)
        #expect(request(&machine, [socket, one], at: 1) == "dial #2 tcp://10.0.0.1:1")
    }

    @Test func abandonedEndpointsAreNotDead() {
        var machine = machine()
        _ = request(&machine, [socket, one])
        _ = machine.dialled(1, 5, failed: [], at: time(0))
        machine.closed(5)
        #expect(request(&machine, [socket, one], at: 1) == "dial #2 unix:/s tcp://10.0.0.1:1")
    }

    @Test func dialsAreBounded() {
        var machine = machine(maximumDials: 1)
        #expect(request(&machine, [one]) == "dial #1 tcp://10.0.0.1:1")
        #expect(request(&machine, [two]) == "fail limit")
        #expect(request(&machine, [one], by: "b") == "wait")
        #expect(machine.failed(1, failed: [], at: time(0)) == ["w", "b"])
        #expect(request(&machine, [two]) == "dial #2 tcp://10.0.0.2:2")
    }

    @Test func whatComesAfterTheEndIsDiscarded() {
        var machine = machine()
        _ = request(&machine, [one], by: "a")
        _ = request(&machine, [two], by: "b")
        #expect(Set(machine.endAll()) == ["a", "b"])
        #expect(resumed(machine.dialled(1, 5, failed: [], at: time(0))) == nil)
        #expect(machine.failed(2, failed: [two], at: time(0)) == [])
    }

    /// A network scan by proxy must not fill the memory.
    @Test func failuresAreForgotten() {
        var machine = machine()
        for number in 1...5000 {
            let endpoint = Endpoint("tcp://10.1.0.1:\(number)")!
            guard case .dial(let id, _) = machine.requested([endpoint], on: "m", by: "w", at: time(0)) else {
                Issue.record("not dialled")
                return
            }
            _ = machine.failed(id, failed: [endpoint], at: time(0))
        }
        #expect(machine.failuresRemembered <= 4096)
    }
}
