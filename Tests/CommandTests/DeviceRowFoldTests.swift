import Testing

@testable import QiMesh
@testable import QiMeshCLI

@Suite("What `devices --watch` prints")
struct DeviceRowFoldTests {
    private func row(_ name: String, _ state: String, rtt: Double? = nil, note: String? = nil, lastSeen: Double? = nil) -> DeviceRow {
        DeviceRow(
            name: name, jid: "\(name)@x", state: state, path: "in-band", rtt: rtt, lastSeen: lastSeen, subscription: "both", note: note,
            account: "own@x")
    }

    private func fold(_ looks: [[DeviceRow]]) -> [[String]] {
        var fold = DeviceRowFold()
        return looks.map { look in fold.changes(to: look).map { DeviceWatch.text($0.row, $0.isGone) } }
    }

    @Test func allAtFirstThenWhatChanged() {
        #expect(
            fold([
                [row("a", "online", rtt: 61), row("b", "offline")], [row("a", "online", rtt: 70, lastSeen: 2), row("b", "offline")],
                [row("a", "stale", rtt: 70, note: "does not answer"), row("b", "online")],
                [row("b", "online")],
            ]) == [
                ["a  online  in-band  61 ms", "b  offline  in-band"], [],
                ["a  stale  in-band  (does not answer)", "b  online  in-band"],
                ["a  is no contact any more"],
            ])
    }

    @Test func oneDeviceOfTwoAccountsIsTwoRows() {
        var (first, second) = (row("a", "online"), row("a", "online"))
        (first.account, second.account) = ("own@x", "other@x")
        #expect(fold([[first], [first, second]]).map(\.count) == [1, 1])
    }
}
