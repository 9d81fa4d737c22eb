import Logging
import NIOCore
import NIOEmbedded

@testable import XMPP

/// Two contacts negotiate and use bytestreams in whatever order they like (Jingle, XEP-0166; in-band, XEP-0047; SOCKS5 without sockets,
/// XEP-0260): every request is answered
/// at most once, and all of them once the stream has ended or been answered; sessions are bounded, and none stays behind.
///
/// Input: steps. A step is a byte: which contact in its lowest bit, what in the next three, a small number in the rest.
final class JingleFuzz {
    /// The connection below: remembers what was asked of us and what was answered.
    private final class Sink: StanzaSink {
        var ownJID = JID(node: "pepper", domain: "mesh.test", resource: "qimesh")
        var answers: [String: Int] = [:]
        var asked: [(Result<Element?, XMPPError>) -> Void] = []

        func sendIQ(
            _ kind: IQRequest.Kind, to peer: JID, payload: Element, timeout: Duration,
            completion: @escaping (Result<Element?, XMPPError>) -> Void
        ) {
            asked.append(completion)
        }

        func answer(to requester: JID, id: String, with answer: Result<Element?, StanzaError>) { answers[id, default: 0] += 1 }

        func sendData(
            to peer: JID, sid: String, sequence: UInt16, base64: UnsafeRawBufferPointer, timeout: Duration,
            completion: @escaping (Result<Void, XMPPError>) -> Void
        ) {
            asked.append { completion($0.map { _ in }) }
        }
    }

    private final class Queue: StanzaExecutor, @unchecked Sendable {
        // On the one thread of the fuzzer.
        private var work: [@Sendable () -> Void] = []

        func execute(_ work: @escaping @Sendable () -> Void) { self.work.append(work) }

        func run() -> Bool {
            let work = work
            self.work = []
            for item in work { item() }
            return !work.isEmpty
        }
    }

    private final class Clock: @unchecked Sendable {
        // On the one thread of the fuzzer.
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    }

    private static let namespace = "urn:example:app:1"
    private let sink = Sink()
    private let queue = Queue()
    private let loop = EmbeddedEventLoop()
    private let clock = Clock()
    private let bytestreams: Bytestreams
    private let limits: BytestreamLimits
    private let peers: [JID]
    private var requests = 0

    static func run(_ bytes: [UInt8]) throws {
        let fuzz = try JingleFuzz()
        var input = FuzzInput(bytes)
        while !input.isEmpty { try fuzz.step(&input) }
        try fuzz.finish()
    }

    private init() throws {
        peers = ["desk", "tablet"].compactMap { JID(node: $0, domain: "mesh.test", resource: "r1") }
        guard peers.count == 2 else { throw FuzzFinding("the contacts have no addresses") }
        var limits = BytestreamLimits()
        limits.streams = 6
        limits.streamsPerContact = 4
        limits.receiveWindow = 4
        self.limits = limits
        bytestreams = Bytestreams(
            sink: sink, executor: queue, limits: limits, logger: Logger(label: "fuzz", factory: { _ in SwiftLogNoOpLogHandler() }),
            clock: { [clock] in clock.now })
        bytestreams.socks5.handlers.setSOCKS5(SOCKS5Options(addresses: { ["192.0.2.1"] }, permits: { _ in nil }))
        bytestreams.jingle.setHandler(applicationNamespace: Self.namespace, on: loop) { offer in
            offer.application["no"] == nil ? .accept { $0.eventLoop.makeSucceededVoidFuture() } : .decline(reason: "no")
        }
    }

    // MARK: - Steps

    private func step(_ input: inout FuzzInput) throws {
        let code = input.byte()
        let peer = peers[Int(code & 1)]
        let small = Int(code >> 4)
        switch code >> 1 & 7 {
        case 0, 1: request(jingle(small, &input), of: peer)
        case 2: request(open(small, &input), of: peer)
        case 3: request(data(small, &input), of: peer)
        case 4: request(Element("close", namespace: Namespaces.ibb, attributes: ["sid": sid(small)]), of: peer)
        case 5: answer(small, isGood: input.byte() & 1 == 0)
        case 6: own(small, peer)
        default: clock.now = clock.now + .seconds(Int64(small))
        }
        settle()
        tell { $0.tick() }
        settle()
        try FuzzFinding.expect(bytestreams.jingle.sessions.count <= 2 * limits.streams, "\(bytestreams.jingle.sessions.count) sessions")
        try FuzzFinding.expect(sink.answers.values.allSatisfy { $0 == 1 }, "a request was answered twice")
    }

    private func sid(_ number: Int) -> String { "s\(number % 4)" }

    private func request(_ payload: Element, of peer: JID) {
        requests += 1
        let iq = IQRequest(id: "\(requests)", from: peer, kind: .set, payload: payload)
        let isTaken = payload.namespace == Namespaces.jingle ? bytestreams.jingle.received(iq) : bytestreams.inBand.received(iq)
        if !isTaken { sink.answer(to: peer, id: iq.id, with: .failure(.serviceUnavailable)) }
    }

    private func jingle(_ small: Int, _ input: inout FuzzInput) -> Element {
        let actions = [
            "session-initiate", "session-accept", "session-info", "session-terminate", "transport-info", "transport-replace",
            "content-add", "security-info",
        ]
        let form = input.byte()
        var jingle = Element("jingle", namespace: Namespaces.jingle, attributes: ["action": actions[small % 8], "sid": sid(Int(form))])
        if form & 4 != 0 { jingle["initiator"] = String(decoding: input.shortBytes(limit: 24), as: UTF8.self) }
        var description = Element("description", namespace: form & 8 == 0 ? Self.namespace : "urn:x")
        if form & 16 != 0 { description["no"] = "1" }
        var transport = Element(
            "transport", namespace: form & 32 == 0 ? "urn:xmpp:jingle:transports:ibb:1" : Namespaces.jingleSOCKS5,
            attributes: ["block-size": form & 64 == 0 ? "4096" : "\(input.number16())", "sid": "t\(Int(form) % 4)"])
        if form & 32 != 0 { transport.children = socks5(&input) }
        let content = Element(
            "content", namespace: Namespaces.jingle, attributes: ["creator": "initiator", "name": "c"], children: [description, transport])
        if small < 12 { jingle.children = Array(repeating: content, count: form & 128 == 0 ? 1 : Int(input.byte() % 6)) }
        if small % 8 == 3 { jingle.children.append(Element("reason", children: [Element("success")])) }
        return jingle
    }

    /// What may stand in a SOCKS5 transport.
    private func socks5(_ input: inout FuzzInput) -> [Element] {
        let code = input.byte()
        let names = ["candidate-used", "candidate-error", "activated", "proxy-error", "x"]
        var step = Element(names[Int(code) % names.count])
        if code & 8 != 0 { step["cid"] = ["d0", "p0", "c0", "c1"][Int(code >> 4) % 4] }
        let candidate = Element(
            "candidate",
            attributes: [
                "cid": "c\(code >> 7)", "host": code & 32 == 0 ? "192.0.2.1" : "fe80::1", "port": "9", "jid": "desk@mesh.test/r1",
                "priority": "\(input.byte())", "type": code & 64 == 0 ? "direct" : "proxy",
            ])
        return code & 16 == 0 ? [step] : [candidate, step]
    }

    private func open(_ small: Int, _ input: inout FuzzInput) -> Element {
        let size = small & 8 == 0 ? "4096" : "\(input.number16())"
        return Element(
            "open", namespace: Namespaces.ibb,
            attributes: ["sid": "t\(small % 4)", "block-size": size, "stanza": input.byte() & 1 == 0 ? "iq" : "message"])
    }

    private func data(_ small: Int, _ input: inout FuzzInput) -> Element {
        let sequence = input.byte()
        let text = sequence & 0x80 == 0 ? "aGVsbG8=" : String(decoding: input.shortBytes(limit: 64), as: UTF8.self)
        return Element(
            "data", namespace: Namespaces.ibb, attributes: ["sid": "t\(small % 4)", "seq": "\(sequence & 0x7F)"], text: text)
    }

    /// The oldest of our own requests is answered.
    private func answer(_ small: Int, isGood: Bool) {
        guard !sink.asked.isEmpty else { return }
        let completion = sink.asked.remove(at: small % sink.asked.count)
        completion(isGood ? .success(nil) : .failure(XMPPError(.stanza, "no", stanzaError: .itemNotFound)))
    }

    /// What our side does.
    private func own(_ small: Int, _ peer: JID) {
        switch small % 4 {
        case 0 where small & 4 != 0:
            let plan = ChannelPlan(eventLoop: loop) { channel, _ in channel.eventLoop.makeSucceededVoidFuture() } completion: { _ in }
            bytestreams.jingle.open(
                to: peer, application: Element("description", namespace: Self.namespace),
                over: .socks5(SOCKS5Options(addresses: { ["192.0.2.1"] }, permits: { _ in nil })), timeout: .seconds(5), plan: plan)
        case 0:
            bytestreams.jingle.open(
                to: peer, application: Element("description", namespace: Self.namespace), on: loop, timeout: .seconds(5),
                initializer: { $0.eventLoop.makeSucceededVoidFuture() }, completion: { _ in })
        case 1: tell { $0.contactEnded(peer, "no contact") }
        case 2: gone(peer)
        default: lose()
        }
    }

    private func tell(_ event: (any XMPPExtension) -> Void) { bytestreams.extensions.forEach(event) }

    private func lose() { tell { $0.disconnected(XMPPError(.connectionLost, "the stream ended")) } }

    private func gone(_ peer: JID) {
        let resource = PresenceResource(
            jid: peer, isAvailable: false, show: .available, status: "", priority: 0, capabilities: nil, disco: nil, since: .now)
        tell { $0.left(resource) }
    }

    private func settle() {
        for _ in 0..<1000 {
            loop.run()
            guard queue.run() else { return loop.run() }
        }
    }

    private func finish() throws {
        // Everything of ours is answered, and all deadlines pass.
        for _ in 0..<4 {
            while !sink.asked.isEmpty { answer(0, isGood: false) }
            clock.now = clock.now + .seconds(700)
            settle()
            tell { $0.tick() }
            settle()
        }
        lose()
        settle()
        try FuzzFinding.expect(bytestreams.jingle.sessions.isEmpty, "\(bytestreams.jingle.sessions.count) sessions stay behind")
        try FuzzFinding.expect(bytestreams.inBand.streams.isEmpty, "\(bytestreams.inBand.streams.count) streams stay behind")
        try FuzzFinding.expect(bytestreams.socks5.streams.isEmpty, "\(bytestreams.socks5.streams.count) SOCKS5 streams stay behind")
        try FuzzFinding.expect(bytestreams.inBand.streamsByID.isEmpty && bytestreams.jingle.sessionsByID.isEmpty, "names of sessions stay behind")
        try FuzzFinding.expect(sink.answers.values.allSatisfy { $0 == 1 }, "a request was answered twice")
        while !sink.asked.isEmpty { answer(0, isGood: false) }
        settle()
    }
}
