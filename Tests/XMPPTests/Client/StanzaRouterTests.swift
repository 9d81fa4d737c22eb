import NIOCore
import Testing

@testable import XMPP

struct StanzaRouterTests {
    @Test(arguments: [
        (nil, .server), ("pepper@mesh.test", .server), ("mesh.test", .server),
        ("pepper@mesh.test/qimesh", .stranger), ("pepper@mesh.test/phone", .stranger),
        ("desk@mesh.test/x", .contact), ("desk@mesh.test", .contact),
        ("eve@mesh.test/x", .stranger), ("other.test", .stranger), ("mesh.test/admin", .stranger),
    ] as [(String?, StanzaRouter.Sender)])
    func tellsWhoSpeaks(_ from: String?, _ expected: StanzaRouter.Sender) throws {
        let own = try #require(JID("pepper@mesh.test/qimesh"))
        let desk = JID("desk@mesh.test")
        let sender = StanzaRouter.sender(from.flatMap { JID($0) }, own: own) { $0 == desk }
        #expect(sender == expected)
    }

    private static let known = [
        Element("ping", namespace: Namespaces.ping), Element("query", namespace: Namespaces.version),
        Element("query", namespace: Namespaces.discoInfo, attributes: ["node": "n"]),
        Element("query", namespace: Namespaces.discoItems), Element("query", namespace: Namespaces.roster),
        Element("jingle", namespace: Namespaces.jingle), Element("data", namespace: Namespaces.ibb),
        Element("x", namespace: "urn:x"),
    ]

    @Test func strangersGetTheSameForEverything() {
        for payload in Self.known {
            for kind in [IQRequest.Kind.get, .set] {
                #expect(StanzaRouter.route(kind, payload, from: .stranger) == .refuse(.serviceUnavailable))
            }
        }
    }

    @Test func routesByNamespaceNameAndKind() {
        typealias Route = StanzaRouter.Route
        let none = Route.refuse(.featureNotImplemented)
        let expected: [(get: Route, set: Route)] = [
            (.ping, none), (.version, none), (.discoInfo(node: "n"), none), (.discoItems(node: nil), none),
            (.handler(orElse: .serviceUnavailable), .handler(orElse: .serviceUnavailable)),
            (none, .bytestream), (none, .bytestream),
            (.handler(orElse: .serviceUnavailable), .handler(orElse: .serviceUnavailable)),
        ]
        for (payload, routes) in zip(Self.known, expected) {
            #expect(StanzaRouter.route(.get, payload, from: .contact) == routes.get)
            #expect(StanzaRouter.route(.set, payload, from: .contact) == routes.set)
        }
    }

    @Test func serverMayAskAndPushButOpenNothing() {
        #expect(StanzaRouter.route(.set, Self.known[4], from: .server) == .rosterPush)
        #expect(StanzaRouter.route(.get, Self.known[0], from: .server) == .ping)
        #expect(StanzaRouter.route(.set, Self.known[5], from: .server) == .refuse(.serviceUnavailable))
        #expect(StanzaRouter.route(.set, Self.known[7], from: .server) == .refuse(.serviceUnavailable))
    }

    @Test func keepAliveAsksAndGivesUp() {
        let zero = NIODeadline.uptimeNanoseconds(0)
        var idle = KeepAlive(now: zero)
        #expect(idle.ticked(now: zero + .seconds(59), isWaiting: false) == .nothing)
        #expect(idle.ticked(now: zero + .seconds(60), isWaiting: false) == .ping)
        #expect(idle.ticked(now: zero + .seconds(61), isWaiting: true) == .nothing)
        #expect(idle.ticked(now: zero + .seconds(75), isWaiting: true) == .dead)
        idle.heard(now: zero + .seconds(76))
        #expect(idle.ticked(now: zero + .seconds(85), isWaiting: true) == .nothing)
        // Noticed within 30 s when something is waiting.
        #expect(idle.ticked(now: zero + .seconds(86), isWaiting: true) == .ping)
        #expect(idle.ticked(now: zero + .seconds(101), isWaiting: true) == .dead)
    }

    @Test func meterServesThenRefusesThenDrops() throws {
        let zero = NIODeadline.uptimeNanoseconds(0)
        let desk = try #require(JID("desk@mesh.test"))
        let eve = try #require(JID("eve@mesh.test"))
        var meter = RequestMeter(perSecond: 50, limit: 2)
        // Of many at once every one is answered; silence is for a flood that goes on.
        let verdicts = (0..<1150).map { _ in meter.received(from: desk, now: zero) }
        #expect(verdicts == Array(repeating: .serve, count: 50) + Array(repeating: .refuse, count: 1000)
            + Array(repeating: .drop, count: 100))
        // Another contact is not hurt.
        #expect(meter.received(from: eve, now: zero) == .serve)
        // Tokens come back one every 20 ms.
        #expect(meter.received(from: desk, now: zero + .milliseconds(19)) == .drop)
        #expect(meter.received(from: desk, now: zero + .milliseconds(20)) == .serve)
        #expect(meter.received(from: desk, now: zero + .milliseconds(20)) != .serve)
        let later = (0..<60).map { _ in meter.received(from: desk, now: zero + .seconds(5)) }
        #expect(later.filter { $0 == .serve }.count == 50)
    }
}
