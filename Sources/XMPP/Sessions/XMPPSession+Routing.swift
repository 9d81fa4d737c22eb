import Logging
import NIOCore

/// What arrives, and who gets it.
extension XMPPSession {
    func received(_ stanza: Element) {
        heard()
        guard let own = ownJID, let sender = sender(of: stanza["from"]) else { return }
        if stanza["type"] != "error" {
            let isPresence = stanza.name == "presence"
            if !isPresence || stanza["type"] == nil { noteLife(of: sender.jid, own: own, isPresence: isPresence) }
        }
        switch stanza.name {
        case "iq": receivedIQ(stanza, from: sender.jid, own: own)
        case "presence": receivedPresence(stanza, from: sender.jid, own: own)
        case "message":
            // Only contacts are heard.
            guard let from = sender.jid, from.bare != own.bare, contacts.isSeen(from.bare), contacts.isAdmitted(from.bare) else { return }
            for each in extensions.all { each.received(message: stanza, from: from) }
        default: break
        }
    }

    /// Too large or too deep to be looked at: a request gets an answer, and who waits for an answer hears that it is not taken.
    func receivedOversized(_ stanza: Element) {
        heard()
        if stanza.name == "iq", stanza["type"] == "result" || stanza["type"] == "error", let own = ownJID,
            let from = sender(of: stanza["from"])
        {
            return answeredOversized(stanza, from: from.jid, own: own)
        }
        guard stanza.name == "iq", let kind = stanza["type"], kind == "get" || kind == "set", let id = usableID(stanza),
            let own = ownJID, let from = sender(of: stanza["from"])
        else { return }
        guard admit(from.jid, id: id, own: own) != nil else { return }
        respond(to: from.jid, id: id, with: .failure(StanzaError(.modify, "not-acceptable", text: "too large")))
    }

    func receivedData(_ data: StropheStanza.DataBlock) {
        heard()
        guard let own = ownJID, let from = sender(of: data.from), data.id.utf8.count <= JID.longestPart else { return }
        noteLife(of: from.jid, own: own)
        if let peer = from.jid, let sid = data.sid, extensions.bytestreams.inBand.isAcceptedStream(from: peer, sid: sid) {
            // Bounded by the stream's own window; the peer was a contact when the stream was accepted, and a contact that
            // is removed loses its streams.
            extensions.bytestreams.inBand.receivedData(
                from: peer, id: data.id, sid: sid, sequence: data.sequence, base64: data.base64)
            return
        }
        guard let sender = admit(from.jid, id: data.id, own: own) else { return }
        guard sender == .contact, let peer = from.jid else {
            return respond(to: from.jid, id: data.id, with: .failure(.serviceUnavailable))
        }
        extensions.bytestreams.inBand.receivedData(
            from: peer, id: data.id, sid: data.sid, sequence: data.sequence, base64: data.base64)
    }

    /// Tells the delegate that a connection of a contact is alive. A bare address speaks for no connection: its server answers there.
    private func noteLife(of connection: JID?, own: JID, isPresence: Bool = false) {
        guard let delegate, let connection, !connection.isBare else { return }
        let now = NIODeadline.now()
        // The cheapest first: blocks of bytestreams come by thousands.
        guard lifeSigns.isNews(from: connection, at: now) else { return }
        let account = connection.bare
        guard account != own.bare, contacts.isSeen(account), contacts.isAdmitted(account) else { return }
        lifeSigns.told(connection, at: now)
        delegate.heard(from: connection, isPresence: isPresence)
    }

    // MARK: Requests

    private func receivedIQ(_ stanza: Element, from: JID?, own: JID) {
        switch stanza["type"] {
        case "result", "error":
            answered(stanza, from: from)
        case "get", "set":
            guard let id = usableID(stanza) else { return }
            if let from, let handler = openHandler(stanza, from: from, own: own) {
                return runOpen(handler, IQRequest(id: id, from: from, kind: .set, payload: stanza.children[0]))
            }
            guard let sender = admit(from, id: id, own: own) else { return }
            guard let kind = stanza["type"].flatMap(IQRequest.Kind.init(rawValue:)), stanza.children.count == 1 else {
                return respond(to: from, id: id, with: .failure(.badRequest))
            }
            serve(IQRequest(id: id, from: from ?? own.bare, kind: kind, payload: stanza.children[0]), sender, to: from)
        default:
            guard let id = usableID(stanza), admit(from, id: id, own: own) != nil else { return }
            respond(to: from, id: id, with: .failure(.badRequest))
        }
    }

    /// An id that can be answered; without one there is nothing to answer to (RFC 6120 §8.2.3).
    private func usableID(_ stanza: Element) -> String? {
        stanza["id"].flatMap { $0.utf8.count <= JID.longestPart ? $0 : nil }
    }

    /// Whether a request is looked at at all. Strangers, and contacts that ask too much, have had their answer when it is not.
    private func admit(_ from: JID?, id: String, own: JID) -> StanzaSender? {
        let sender = StanzaRouter.sender(from, own: own, isMutual: contacts.isMutual)
        let now = NIODeadline.now()
        switch sender {
        case .server:
            return sender
        case .stranger:
            // The answer of a resource that does not exist; silence only to a flood that goes on.
            if strangerMeter.received(from: own, now: now) != .drop {
                respond(to: from, id: id, with: .failure(.serviceUnavailable))
            }
            return nil
        case .contact:
            switch contactMeter.received(from: from?.bare ?? own, now: now) {
            case .serve: return sender
            case .refuse: respond(to: from, id: id, with: .failure(.resourceConstraint))
            case .drop: logger.debug("contact asks too much", metadata: [LogKeys.peer: "\(from?.bare ?? own)"])
            }
            return nil
        }
    }

    /// Answers a request; exactly one branch does.
    private func serve(_ request: IQRequest, _ sender: StanzaSender, to requester: JID?) {
        switch router.route(request.payload, from: sender)(request) {
        case .now(let answer): respond(to: requester, id: request.id, with: answer)
        case .later(let handler): run(handler, request)
        case .byExtension: break
        }
    }

    private func run(_ handler: @escaping RequestHandler, _ request: IQRequest) {
        guard runningHandlers < configuration.limits.handlersAtOnce, let runHandler else {
            return respond(to: request.from, id: request.id, with: .failure(.resourceConstraint))
        }
        runningHandlers += 1
        let host = self.host
        let stream = ownJID
        let started = runHandler {
            let answer = await handler(request)
            host?.enqueue { session in
                session.runningHandlers -= 1
                // An answer belongs to the stream that brought the question.
                guard session.ownJID == stream else { return }
                session.respond(to: request.from, id: request.id, with: answer)
            }
        }
        guard !started else { return }
        runningHandlers -= 1
        respond(to: request.from, id: request.id, with: .failure(.resourceConstraint))
    }

    // MARK: Requests of anybody

    /// The handler of a request that needs no contact; nil for every other request, which then gets what it always gets. Other
    /// connections of our own account stay strangers.
    private func openHandler(_ stanza: Element, from: JID, own: JID) -> OpenRequestHandler? {
        guard stanza["type"] == "set", stanza.children.count == 1, from.bare != own.bare else { return nil }
        let payload = stanza.children[0]
        return handlers.openRequest(namespace: payload.namespace ?? "", name: payload.name)
    }

    /// Runs a handler within the strangers' share: whatever they do here costs contacts nothing.
    private func runOpen(_ handler: @escaping OpenRequestHandler, _ request: IQRequest) {
        switch strangerMeter.received(from: request.from, now: .now()) {
        case .serve: break
        case .refuse: return respond(to: request.from, id: request.id, with: .failure(.serviceUnavailable))
        case .drop: return
        }
        guard runningOpenHandlers < configuration.limits.openHandlersAtOnce, let runHandler else {
            return respond(to: request.from, id: request.id, with: .failure(.serviceUnavailable))
        }
        runningOpenHandlers += 1
        let host = self.host
        let stream = ownJID
        let started = runHandler {
            let answer = await handler(request) ?? .failure(.serviceUnavailable)
            host?.enqueue { session in
                session.runningOpenHandlers -= 1
                guard session.ownJID == stream else { return }
                session.respond(to: request.from, id: request.id, with: answer)
            }
        }
        guard !started else { return }
        runningOpenHandlers -= 1
        respond(to: request.from, id: request.id, with: .failure(.serviceUnavailable))
    }

    // MARK: Addresses

    /// A parsed sender: no address is the server's; nil when the address is broken. The last few hundred are remembered.
    func sender(of text: String?) -> Address? {
        guard let text else { return Address(jid: nil) }
        if let known = addressCache[text] { return Address(jid: known) }
        guard let jid = JID(text) else { return nil }
        if addressCache.count >= 256 { addressCache.removeAll(keepingCapacity: true) }
        addressCache[text] = jid
        return Address(jid: jid)
    }

    /// The sender of a stanza; none is our own server.
    struct Address {
        let jid: JID?
    }
}
