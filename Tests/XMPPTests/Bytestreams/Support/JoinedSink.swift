import Logging
import NIOCore

@testable import XMPP

/// A stanza that travels between two clients joined in memory.
enum TravellingStanza: Sendable {
    case request(IQRequest)
    case data(from: JID, id: String, sid: String?, sequence: String?, base64: [UInt8])
    case result(from: JID, id: String, payload: Element?)
    case error(from: JID, id: String, StanzaError)

    /// A short name for conversations in tests: `session-initiate`, `open`, `data 0`, `result`, `error item-not-found`.
    var summary: String {
        switch self {
        case .request(let iq): iq.payload["action"] ?? iq.payload.name
        case .data(_, _, _, let sequence, _): "data \(sequence ?? "-")"
        case .result: "result"
        case .error(_, _, let error): "error \(error.condition)" + (error.application.map { " \($0.name)" } ?? "")
        }
    }
}

/// A sink whose other end is another sink of the same kind: ids, matching of answers, time-outs. Used on one thread or loop.
final class JoinedSink: StanzaSink, @unchecked Sendable {
    private struct Pending {
        let peer: JID
        let deadline: NIODeadline
        let completion: (Result<Element?, XMPPError>) -> Void
    }

    var ownJID: JID?
    /// Carries a stanza to whom it is addressed.
    var transmit: (JID, TravellingStanza) -> Void = { _, _ in }
    var now: () -> NIODeadline = { .now() }
    /// Whose bytestreams were ended for whom.
    private(set) var displacements: [String] = []
    private var pending: [String: Pending] = [:]
    private var nextID = 0

    init(ownJID: JID) {
        self.ownJID = ownJID
    }

    var pendingCount: Int { pending.count }

    func displaced(_ peer: JID, for newcomer: JID) { displacements.append("\(peer) for \(newcomer)") }

    func sendIQ(
        _ kind: IQRequest.Kind, to peer: JID, payload: Element, timeout: Duration,
        completion: @escaping (Result<Element?, XMPPError>) -> Void
    ) {
        guard let ownJID else { return completion(.failure(XMPPError(.notConnected, "offline"))) }
        let id = add(peer, timeout, completion)
        transmit(peer, .request(IQRequest(id: id, from: ownJID, kind: kind, payload: payload)))
    }

    func answer(to requester: JID, id: String, with answer: Result<Element?, StanzaError>) {
        guard let ownJID else { return }
        switch answer {
        case .success(let payload): transmit(requester, .result(from: ownJID, id: id, payload: payload))
        case .failure(let error): transmit(requester, .error(from: ownJID, id: id, error))
        }
    }

    func sendData(
        to peer: JID, sid: String, sequence: UInt16, base64: UnsafeRawBufferPointer, timeout: Duration,
        completion: @escaping (Result<Void, XMPPError>) -> Void
    ) {
        guard let ownJID else { return completion(.failure(XMPPError(.notConnected, "offline"))) }
        let id = add(peer, timeout) { completion($0.map { _ in }) }
        transmit(
            peer, .data(from: ownJID, id: id, sid: sid, sequence: String(sequence), base64: Array(base64)))
    }

    private func add(
        _ peer: JID, _ timeout: Duration, _ completion: @escaping (Result<Element?, XMPPError>) -> Void
    ) -> String {
        nextID += 1
        let id = "q\(nextID)"
        pending[id] = Pending(peer: peer, deadline: now() + TimeAmount(timeout), completion: completion)
        return id
    }

    /// An answer came.
    func answered(from: JID, id: String, _ result: Result<Element?, XMPPError>) {
        guard let entry = pending[id], entry.peer == from else { return }
        pending[id] = nil
        entry.completion(result)
    }

    /// Fails what waited too long.
    func expire() {
        for (id, entry) in pending where entry.deadline <= now() {
            pending[id] = nil
            entry.completion(.failure(XMPPError(.timedOut, "no answer in time")))
        }
    }

    /// The stream ended.
    func disconnect() {
        ownJID = nil
        let entries = pending
        pending = [:]
        for entry in entries.values { entry.completion(.failure(XMPPError(.connectionLost, "the stream ended"))) }
    }
}

/// What a session does with its bytestreams.
extension Bytestreams {
    /// Hands in a request; false when it is none of theirs.
    func received(_ iq: IQRequest) -> Bool {
        switch iq.payload.namespace {
        case Namespaces.jingle: jingle.received(iq)
        case Namespaces.ibb: inBand.received(iq)
        default: false
        }
    }

    /// Hands in a stanza.
    func handle(_ stanza: TravellingStanza, at sink: JoinedSink) {
        switch stanza {
        case .request(let iq):
            guard !received(iq) else { return }
            if iq.payload.name == "ping" {
                sink.answer(to: iq.from, id: iq.id, with: .success(nil))
            } else {
                sink.answer(to: iq.from, id: iq.id, with: .failure(.serviceUnavailable))
            }
        case .data(let from, let id, let sid, let sequence, let base64):
            base64.withUnsafeBytes { inBand.receivedData(from: from, id: id, sid: sid, sequence: sequence, base64: $0) }
        case .result(let from, let id, let payload): sink.answered(from: from, id: id, .success(payload))
        case .error(let from, let id, let error):
            sink.answered(from: from, id: id, .failure(XMPPError(.stanza, "an error", stanzaError: error)))
        }
    }

    func tick() {
        for each in extensions { each.tick() }
    }

    func disconnected(_ error: XMPPError) {
        for each in extensions { each.disconnected(error) }
    }

    func peerUnavailable(_ peer: JID) {
        let resource = PresenceResource(
            jid: peer, isAvailable: false, show: .available, status: "", priority: 0, capabilities: nil, disco: nil, since: .now)
        for each in extensions { each.left(resource) }
    }

    func contactRemoved(_ account: JID, _ reason: String) {
        for each in extensions { each.contactEnded(account, reason) }
    }
}
