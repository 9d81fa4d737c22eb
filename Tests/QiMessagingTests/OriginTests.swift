@testable import QiMessaging
import Testing

/// How a connection came, from where, and who its peer is: three things.
struct OriginTests {
    private static let trial = PathKind("trial", carrier: "the club's network")

    @Test(arguments: [
        (ConnectionOrigin.process, "process"),
        (.unix(uid: 1000), "unix, user 1000"),
        (.unix(uid: nil), "unix"),
        (.tcp(host: "10.0.0.7"), "tcp 10.0.0.7"),
        (.tls(host: "h", fingerprint: nil), "tls h"),
        (.tls(host: "h", fingerprint: "9f"), "tls h, key 9f"),
        (.device(name: "op@lab.example"), "device op@lab.example"),
        (.device(name: "op@lab.example", by: trial), "device op@lab.example, trial"),
        (ConnectionOrigin(by: trial), "trial"),
        (ConnectionOrigin(by: trial, from: "h", proven: .app("choregraphe")), "trial h, app:choregraphe"),
    ])
    func isShown(_ origin: ConnectionOrigin, _ text: String) { #expect("\(origin)" == text) }

    @Test func aWayFromOutsideIsNeverOneOfThisMachine() {
        let disguised = PathKind("unix")
        #expect(disguised != .unix && PathKind("process") != .process && disguised.zone == .internet)
        let origin = ConnectionOrigin(by: disguised, proven: .process(uid: 0))
        #expect(origin.user == nil && !origin.isThisHost && !RelayedCaller.isBelieved(origin))
        #expect(ConnectionOrigin.unix(uid: 0).user == 0 && RelayedCaller.isBelieved(.unix(uid: 0)))
    }

    @Test func aWayIsKnownByItsName() {
        #expect(Self.trial == PathKind("trial") && Self.trial != .tcp && Self.trial.hashValue == PathKind("trial").hashValue)
        #expect(PathKind(String(repeating: "x", count: 100)).name.utf8.count == 64)
    }

    @Test(arguments: [
        (ConnectionOrigin.unix(uid: 1), ConnectionOrigin.tcp(host: "127.0.0.1"), true),
        (.tcp(host: "127.0.0.1"), .tls(host: "::1", fingerprint: nil), true),
        (.unix(uid: 1), .unix(uid: 2), true),
        (.tcp(host: "10.0.0.7"), .tcp(host: "10.0.0.7"), true),
        (.tcp(host: "10.0.0.7"), .tcp(host: "10.0.0.8"), false),
        (.unix(uid: 1), .tcp(host: "10.0.0.7"), false),
        (.device(name: "a@b"), .device(name: "a@b"), false),
        (.device(name: "a@b"), .unix(uid: 1), false),
        (ConnectionOrigin(by: trial), ConnectionOrigin(by: trial), false),
        (ConnectionOrigin(by: trial, from: "10.0.0.7"), .tcp(host: "10.0.0.7"), true),
        (ConnectionOrigin(by: trial, from: "127.0.0.1"), .unix(uid: 1), true),
    ])
    func oneHostIsToldByWayAndAddress(_ one: ConnectionOrigin, _ other: ConnectionOrigin, _ isSame: Bool) {
        #expect(one.isSameHost(as: other) == isSame && other.isSameHost(as: one) == isSame)
    }

    @Test func whoHasProvenNothingIsKnownByWhereItComesFrom() {
        #expect(Principal(ConnectionOrigin(by: Self.trial, from: "h"), zone: .internet).identity == .host("h"))
        #expect(Principal(ConnectionOrigin(by: Self.trial), zone: .internet).identity == .host("trial"))
        let shown = Principal(.tls(host: "h", fingerprint: "9f"), zone: .lan, proven: .user("nao"))
        #expect(shown.identity == .user("nao") && shown.fingerprint == "9f")
    }

    /// A contact may come by a direct path; it stays a contact.
    @Test(arguments: [PathKind.tcp, .tls, .unix, .inBand, trial])
    func anotherDeviceIsOutsideWhateverWayItTakes(_ path: PathKind) {
        let device = ConnectionOrigin.device(name: "op@x", by: path)
        #expect(device.zone == .internet && !device.isNeighbour && !device.isThisHost)
        #expect(!device.isSameHost(as: .unix(uid: 1000)))
    }
}
