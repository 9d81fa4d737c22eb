import Logging
import NIOCore

/// Requests of ours and answers to others'.
extension XMPPSession: ExtensionHost {
    func displaced(_ peer: JID, for newcomer: JID) { delegate?.bytestreamDisplaced(peer, for: newcomer) }

    /// Asks; `address` nil asks our own account. The answer may be `bytes` large, nothing: as any stanza. Completes exactly once, also
    /// before it returns.
    @discardableResult
    func request(
        _ address: JID?, _ kind: IQRequest.Kind, _ payload: Element, timeout: Duration, bytes: Int = 0,
        completion: @escaping (Result<Element?, XMPPError>) -> Void
    ) -> UInt64? {
        guard let number = register(address, timeout: timeout, bytes: bytes, .element(completion)) else { return nil }
        var attributes = ["type": kind.rawValue, "id": table.id(number)]
        if let address { attributes["to"] = address.description }
        guard send(Element("iq", namespace: Namespaces.client, attributes: attributes, children: [payload])) else {
            let text = "the request is larger than the \(maxBytes) bytes that the server takes"
            table.remove(number)?.fail(XMPPError(.limitExceeded, text))
            return nil
        }
        return number
    }

    /// Asks with text as it stands.
    func rawRequest(
        to address: JID, type: String, children: String, completion: @escaping (Result<Element?, XMPPError>) -> Void
    ) {
        guard let number = register(address, timeout: .seconds(10), .element(completion)) else { return }
        sendRaw(Array("<iq type='\(type)' id='\(table.id(number))' to='\(address)'>\(children)</iq>".utf8))
    }

    /// Nobody waits for that answer any more.
    func cancelRequest(_ number: UInt64) {
        table.remove(number)?.fail(XMPPError(.cancelled, "The task was cancelled."))
    }

    private func register(_ address: JID?, timeout: Duration, bytes: Int = 0, _ waiter: Waiter) -> UInt64? {
        guard isConnected else {
            waiter.fail(XMPPError(.notConnected, "There is no connection to the server at the moment."))
            return nil
        }
        // Our own account answers under several names, and under none.
        let expected = address.flatMap { $0 == ownJID?.bare ? nil : $0 }
        guard let number = table.add(to: expected, deadline: .now() + TimeAmount(timeout), bytes: bytes, waiter) else {
            waiter.fail(XMPPError(.limitExceeded, "Too many requests are waiting for an answer."))
            return nil
        }
        return number
    }

    func bytesAllowed(for tag: Element) -> Int {
        guard tag.name == "iq", tag["type"] == "result", let id = tag["id"], let own = ownJID, let from = sender(of: tag["from"]) else {
            return 0
        }
        return table.bytesAllowed(id: id, from: from.jid, isOwn: isOwn(from.jid, own))
    }

    /// An answer arrived that is larger than we asked for.
    func answeredOversized(_ tag: Element, from sender: JID?, own: JID) {
        guard let id = tag["id"], let waiter = table.answered(id: id, from: sender, isOwn: isOwn(sender, own)) else { return }
        waiter.fail(XMPPError(.limitExceeded, "the answer of \(sender?.description ?? own.domain) is larger than is taken"))
    }

    /// Whether a sender may speak for our own account.
    private func isOwn(_ sender: JID?, _ own: JID) -> Bool {
        sender == nil || sender == own.bare || sender == own || sender == own.server
    }

    /// An answer arrived.
    func answered(_ stanza: Element, from sender: JID?) {
        guard let id = stanza["id"], let own = ownJID else { return }
        guard let waiter = table.answered(id: id, from: sender, isOwn: isOwn(sender, own)) else {
            logger.debug("answer nobody waits for", metadata: [LogKeys.stanzaID: "\(id.cut(toBytes: 64))"])
            return
        }
        if stanza["type"] == "result" {
            switch waiter {
            case .element(let completion): completion(.success(stanza.children.first))
            case .block(let completion): completion(.success(()))
            }
        } else {
            let error = StanzaError(parsing: stanza.child("error"))
            waiter.fail(XMPPError(.stanza, "The other side answered with an error.", stanzaError: error))
        }
    }

    // MARK: For bytestreams

    func sendIQ(
        _ kind: IQRequest.Kind, to peer: JID, payload: Element, timeout: Duration,
        completion: @escaping (Result<Element?, XMPPError>) -> Void
    ) {
        request(peer, kind, payload, timeout: timeout, completion: completion)
    }

    func sendData(
        to peer: JID, sid: String, sequence: UInt16, base64: UnsafeRawBufferPointer, timeout: Duration,
        completion: @escaping (Result<Void, XMPPError>) -> Void
    ) {
        guard let number = register(peer, timeout: timeout, .block(completion)) else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(base64.count + 256)
        bytes.append(contentsOf: "<iq type='set'".utf8)
        Element.appendAttribute("id", table.id(number), to: &bytes)
        Element.appendAttribute("to", peer.description, to: &bytes)
        bytes.append(contentsOf: "><data xmlns='http://jabber.org/protocol/ibb'".utf8)
        Element.appendAttribute("sid", sid, to: &bytes)
        Element.appendAttribute("seq", String(sequence), to: &bytes)
        bytes.append(UInt8(ascii: ">"))
        bytes.append(contentsOf: base64)
        bytes.append(contentsOf: "</data></iq>".utf8)
        sendRaw(bytes)
    }

    func answer(to requester: JID, id: String, with answer: Result<Element?, StanzaError>) {
        respond(to: requester, id: id, with: answer)
    }

    /// Answers a request; `requester` nil is the server that sent no address.
    func respond(to requester: JID?, id: String, with answer: Result<Element?, StanzaError>) {
        var iq = Element("iq", namespace: Namespaces.client, attributes: ["id": id])
        iq["to"] = requester?.description
        switch answer {
        case .success(let payload):
            iq["type"] = "result"
            if let payload { iq.children = [payload] }
        case .failure(let error):
            iq["type"] = "error"
            iq.children = [error.element]
        }
        if !send(iq), case .success = answer { respond(to: requester, id: id, with: .failure(.tooLarge)) }
    }
}
