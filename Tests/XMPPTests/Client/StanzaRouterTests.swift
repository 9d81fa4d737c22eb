import Logging
import NIOCore
import Testing

@testable import XMPP

struct StanzaRouterTests {
    @Test(arguments: [
        (nil, .server), ("pepper@mesh.test", .server), ("mesh.test", .server),
        ("pepper@mesh.test/qimesh", .stranger), ("pepper@mesh.test/phone", .stranger),
        ("desk@mesh.test/x", .contact), ("desk@mesh.test", .contact),
        ("eve@mesh.test/x", .stranger), ("other.test", .stranger), ("mesh.test/admin", .stranger),
    ] as [(String?, StanzaSender)])
    func tellsWhoSpeaks(_ from: String?, _ expected: StanzaSender) throws {
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

    /// The extensions of a session, without one.
    private struct Desk {
        let book = ContactBook(limits: XMPPLimits())
        let sink: JoinedSink
        let router: StanzaRouter
        let asker: JID

        init() throws {
            asker = try #require(JID("robot@mesh.test/r1"))
            let own = try #require(JID("desk@mesh.test"))
            let configuration = XMPPConfiguration(jid: own, password: "")
            let logger = Logger(label: "test")
            sink = JoinedSink(ownJID: try #require(own.with(resource: "d1")))
            let bytestreams = Bytestreams(sink: sink, executor: JoinedPair.Queue(), logger: logger)
            let handlers = ClientHandlers()
            router = StanzaRouter([
                bytestreams.jingle, bytestreams.inBand, PingExtension(),
                VersionExtension(configuration.software), RosterExtension(book) { _ in },
                DiscoveryExtension(configuration, others: [Namespaces.ping], handlers: handlers, logger: logger),
            ], handlers: handlers)
            handlers.setRequest(namespace: "urn:x", name: "x") { _ in .success(nil) }
        }

        /// What a request gets, in a word.
        func answer(_ kind: IQRequest.Kind, _ payload: Element, from sender: StanzaSender) -> String {
            switch router.route(payload, from: sender)(IQRequest(id: "1", from: asker, kind: kind, payload: payload)) {
            case .now(.success(let child)): child?.namespace ?? "result"
            case .now(.failure(let error)): error.condition
            case .later: "handler"
            case .byExtension: "extension"
            }
        }
    }

    @Test func strangersGetTheSameForEverything() throws {
        let desk = try Desk()
        for payload in Self.known {
            for kind in [IQRequest.Kind.get, .set] {
                #expect(desk.answer(kind, payload, from: .stranger) == "service-unavailable")
            }
        }
    }

    @Test func answersByNamespaceNameAndKind() throws {
        let (none, unknown) = ("feature-not-implemented", "service-unavailable")
        let expected: [(get: String, set: String)] = [
            ("result", none), (Namespaces.version, none), ("item-not-found", none), (Namespaces.discoItems, none),
            (unknown, unknown), (none, "extension"), (none, "extension"), ("handler", "handler"),
        ]
        let desk = try Desk()
        for (payload, answers) in zip(Self.known, expected) {
            #expect(desk.answer(.get, payload, from: .contact) == answers.get)
            #expect(desk.answer(.set, payload, from: .contact) == answers.set)
            var other = payload
            other.name = "other"
            let isKnown = payload.namespace != Namespaces.roster
            #expect(desk.answer(.set, other, from: .contact) == (isKnown ? none : unknown))
        }
        #expect(desk.answer(.get, Element("query", namespace: Namespaces.discoInfo), from: .contact) == Namespaces.discoInfo)
        #expect(desk.answer(.get, Element("y", namespace: "urn:y"), from: .contact) == unknown)
    }

    @Test func serverMayAskAndPushButOpenNothing() throws {
        let desk = try Desk()
        var push = Self.known[4]
        push.children = [Element("item", attributes: ["jid": "eve@mesh.test", "subscription": "both"])]
        #expect(desk.answer(.set, push, from: .contact) == "service-unavailable" && desk.book.items().isEmpty)
        #expect(desk.answer(.get, push, from: .server) == "service-unavailable" && desk.book.items().isEmpty)
        #expect(desk.answer(.set, push, from: .server) == "result")
        #expect(desk.book.items().map(\.jid.description) == ["eve@mesh.test"])
        #expect(desk.answer(.get, Self.known[0], from: .server) == "result")
        #expect(desk.answer(.set, Self.known[5], from: .server) == "service-unavailable")
        #expect(desk.answer(.set, Self.known[7], from: .server) == "service-unavailable")
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

    @Test func keepAliveSpeaksBeforeTheServerTakesTheStreamForIdle() {
        let zero = NIODeadline.uptimeNanoseconds(0)
        var idle = KeepAlive(now: zero, idleSeconds: 30)
        idle.sent(now: zero + .seconds(5))
        // What is heard does not help.
        idle.heard(now: zero + .seconds(24))
        #expect(idle.ticked(now: zero + .seconds(24), isWaiting: false) == .nothing)
        #expect(idle.ticked(now: zero + .seconds(25), isWaiting: false) == .ping)
        idle.sent(now: zero + .seconds(25))
        idle.heard(now: zero + .seconds(26))
        #expect(idle.ticked(now: zero + .seconds(44), isWaiting: false) == .nothing)
        var hasty = KeepAlive(now: zero, idleSeconds: 1)
        #expect(hasty.ticked(now: zero + .seconds(4), isWaiting: false) == .nothing)
        #expect(hasty.ticked(now: zero + .seconds(5), isWaiting: false) == .ping)
        var unending = KeepAlive(now: zero, idleSeconds: .max)
        unending.heard(now: zero + .seconds(59))
        #expect(unending.ticked(now: zero + .seconds(60), isWaiting: false) == .nothing)
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
