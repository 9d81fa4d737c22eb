@testable import QiMesh
@testable import QiMeshCLI
import Testing

struct PathTakenTests {
    private func row(_ path: String?, rtt: Double?, _ candidates: [PathCandidateRow]) -> DevicePathRow {
        DevicePathRow(jid: "pepper@x", path: path, rtt: rtt, up: 0, down: 0, changes: 0, stream: true, candidates: candidates, advice: [])
    }

    @Test func aPathIsToldWithItsRoundTripAndWhyNoBetterOneWasTaken() throws {
        let status = row(
            "in-band", rtt: 61, [
                PathCandidateRow(path: "direct", reason: "connection refused", again: nil),
                PathCandidateRow(path: "proxy", reason: nil, again: nil),
            ])
        let taken = try #require(PathTaken(status))
        #expect(taken.word == "in-band")
        #expect(taken.text == "in-band, rtt 61 ms (direct: connection refused; proxy: not tried yet)")
    }

    @Test func theBestPathIsToldWithoutTheOthers() throws {
        let taken = try #require(PathTaken(row("direct", rtt: nil, [PathCandidateRow(path: "proxy", reason: "off", again: nil)])))
        #expect(taken.text == "direct")
        #expect(PathTaken(row(nil, rtt: nil, [])) == nil)
    }

    @Test func aPathThatCannotBeHadIsToldWithItsReasonAndEndsWithStatus8() {
        let status = row("in-band", rtt: 61, [PathCandidateRow(path: "proxy", reason: "the server offers none", again: nil)])
        let failure = NodeSession.unmet("proxy", status, device: "pepper", hint: "qimesh path pepper")
        #expect(failure.code.exitStatus == 8)
        #expect(failure.message == "proxy does not work to pepper, which is reached in-band: the server offers none")
        let none = NodeSession.unmet("proxy", row(nil, rtt: nil, []), device: "pepper", hint: "qimesh path pepper")
        #expect(none.message == "proxy does not work to pepper, to which there is no path now")
    }
}
