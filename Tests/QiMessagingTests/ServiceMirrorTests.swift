@testable import QiMessaging
import QiWire
import Testing

struct ServiceMirrorTests {
    private func info(_ id: UInt32, _ name: String, session: String = "s", endpoint: String = "tcp://10.0.0.1:1") -> ServiceInfo {
        ServiceInfo(
            name: name, serviceID: id, machineID: "m", processID: 1, endpoints: [endpoint], sessionID: session, objectUID: [1])
    }

    @Test func comesAndGoes() {
        var mirror = ServiceMirror()
        let came = mirror.entered(info(5, "a"))
        #expect(came == [.added(5, "a")])
        #expect(mirror.service(named: "a")?.serviceID == 5 && mirror.service(5)?.name == "a")
        let went = mirror.removed(5)
        #expect(went == [.removed(5, "a")])
        let again = mirror.removed(5)
        #expect(again.isEmpty && mirror.service(named: "a") == nil && mirror.services.isEmpty)
    }

    /// Of n services in one process libqi's directory lists n of them with each.
    @Test func endpointsOfNeighboursAreNotKept() {
        var mirror = ServiceMirror()
        var info = info(5, "a")
        info.endpoints = ["qi:ServiceDirectory"] + (0..<500).map { "qi:Neighbour\($0)" } + info.endpoints
        _ = mirror.entered(info)
        #expect(mirror.service(5)?.endpoints == ["qi:ServiceDirectory", "tcp://10.0.0.1:1"])
    }

    @Test func theSameSaysNothing() {
        var mirror = ServiceMirror()
        _ = mirror.entered(info(5, "a"))
        let changes = mirror.entered(info(5, "a", endpoint: "tcp://10.0.0.2:2"))
        #expect(changes.isEmpty)
        #expect(mirror.service(5)?.endpoints == ["tcp://10.0.0.2:2"])
    }

    @Test func anotherObjectUnderTheSameIDIsToldAsSuch() {
        var mirror = ServiceMirror()
        _ = mirror.entered(info(5, "a"))
        let changes = mirror.entered(info(5, "a", session: "later"))
        #expect(changes == [.removed(5, "a"), .added(5, "a")])
    }

    @Test func aNameThatMovedAndAnIDThatMoved() {
        var mirror = ServiceMirror()
        _ = mirror.entered(info(5, "a"))
        let moved = mirror.entered(info(6, "a"))
        #expect(moved == [.removed(5, "a"), .added(6, "a")])
        let renamed = mirror.entered(info(6, "b"))
        #expect(renamed == [.removed(6, "a"), .added(6, "b")])
        #expect(mirror.services.map(\.name) == ["b"])
    }

    @Test func aMasterThatIsBackMayStillMissSome() {
        var mirror = ServiceMirror()
        for (id, name) in [(2, "a"), (3, "b"), (4, "c")] as [(UInt32, String)] { _ = mirror.entered(info(id, name)) }
        let back = mirror.listed([info(3, "b"), info(9, "d")])
        #expect(back == [.added(9, "d")])
        #expect(mirror.services.map(\.name) == ["a", "b", "c", "d"])
        let late = mirror.entered(info(2, "a"))
        #expect(late.isEmpty)
        let over = mirror.forgetMissing()
        #expect(over == [.removed(4, "c")])
        let nothing = mirror.forgetMissing()
        #expect(nothing.isEmpty && mirror.services.map(\.name) == ["a", "b", "d"])
    }

    @Test func whatCannotBeIsNotMirrored() {
        var mirror = ServiceMirror()
        for bad in [info(1, "ServiceDirectory"), info(0, "a"), info(ServiceIDs.end, "a"), info(5, "a b"), info(5, "")] {
            let changes = mirror.entered(bad)
            #expect(changes.isEmpty)
        }
        #expect(mirror.services.isEmpty)
    }
}
