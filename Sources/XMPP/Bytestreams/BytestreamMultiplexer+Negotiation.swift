import Logging
import NIOCore

extension BytestreamMultiplexer {
    // MARK: Our offers

    /// Sends a session-initiate; the reason when that cannot be.
    func initiate(
        _ number: UInt64, to peer: JID, application: Element, deadline: NIODeadline, plan: BytestreamSession.ChannelPlan
    ) -> XMPPError? {
        guard let sink, let ownJID = sink.ownJID else {
            return XMPPError(.notConnected, "there is no connection to the XMPP server")
        }
        guard !peer.isBare else {
            return XMPPError(.invalidInput, "a bytestream needs the full address of one connection, not \(peer)")
        }
        guard hasRoom(for: peer, .initiator) else {
            return XMPPError(.limitExceeded, "too many bytestreams are open to \(peer.bare); close some")
        }
        let transport = InBandTransport(blockSize: limits.blockSize, sid: StreamName.random())
        let session = BytestreamSession(
            number: number, peer: peer, sid: StreamName.random(), transportSID: transport.sid, role: .initiator,
            negotiation: .initiated(transport), plan: plan, deadline: deadline, now: clock())
        add(session)
        let message = JingleMessage(
            .sessionInitiate, sid: session.sid, initiator: ownJID,
            contents: [JingleContent(application: application, transport: transport)])
        request(message.element, of: session) { multiplexer, session, result in
            guard case .failure(let error) = result, session.negotiation.isNegotiating else { return }
            multiplexer.end(session, XMPPError(refusal: error), tell: nil)
        }
        return nil
    }

    private func receivedAccept(_ iq: IQRequest, _ message: JingleMessage, of session: BytestreamSession) {
        switch session.negotiation.received(accept: message) {
        case .refuse(let error): answer(iq, .failure(error))
        case .terminate(let reason):
            answer(iq, .success(nil))
            end(session, XMPPError(.streamRefused, reason.text), tell: reason)
        case .open(let open):
            answer(iq, .success(nil))
            request(open.element, of: session) { multiplexer, session, result in
                multiplexer.openAnswered(result, of: session)
            }
        }
    }

    private func openAnswered(_ result: Result<Element?, XMPPError>, of session: BytestreamSession) {
        switch result {
        case .success:
            guard let transport = session.negotiation.openAccepted() else { return }
            establish(session, transport)
        case .failure(let error):
            guard session.negotiation.isNegotiating else { return }
            end(session, XMPPError(refusal: error), tell: JingleReason("failed-transport"))
        }
    }

    // MARK: Contacts' offers

    private func receivedInitiate(_ iq: IQRequest, _ message: JingleMessage) {
        guard !iq.from.isBare, !message.contents.isEmpty, message.contents.allSatisfy({ $0.creator == "initiator" }),
            let content = message.contents.first, let application = content.application
        else { return answer(iq, .failure(.badRequest)) }
        guard sessionsByID[BytestreamSession.Key(peer: iq.from, sid: message.sid)] == nil else {
            return answer(iq, .failure(.outOfOrder))
        }
        guard let room = room(for: iq.from) else { return answer(iq, .failure(.resourceConstraint)) }
        // From here on the session exists for the peer, and a refusal is a session-terminate (XEP-0166 §6.3).
        answer(iq, .success(nil))
        guard message.contents.count == 1, let handler = handlers[application.namespace ?? ""] else {
            return terminate(message.sid, with: iq.from, JingleReason("unsupported-applications"))
        }
        guard case .inBand(var transport) = content.transport else {
            return terminate(message.sid, with: iq.from, JingleReason("unsupported-transports"))
        }
        guard sessionsByTransport[BytestreamSession.Key(peer: iq.from, sid: transport.sid)] == nil else {
            return terminate(message.sid, with: iq.from, JingleReason("failed-transport", text: "that sid is in use"))
        }
        transport.blockSize = min(transport.blockSize, limits.blockSize)
        let session = BytestreamSession(
            number: takeNumber(), peer: iq.from, sid: message.sid, transportSID: transport.sid, role: .responder,
            negotiation: .offered(transport), plan: nil, deadline: clock() + TimeAmount(limits.negotiationTimeout), now: clock())
        session.contentName = content.name
        if case .of(let other) = room { displace(other, for: iq.from) }
        add(session)
        decide(session, application, handler)
    }

    private func decide(_ session: BytestreamSession, _ application: Element, _ handler: Handler) {
        let number = session.number
        let offer = BytestreamOffer(from: session.peer, application: application, sid: session.sid)
        handler.eventLoop.execute { [weak self, executor] in
            let decision = handler.accept(offer)
            executor.execute { [weak self] in
                guard let self, let session = self.sessions[number] else { return }
                self.decided(decision, application, on: handler.eventLoop, about: session)
            }
        }
    }

    private func decided(
        _ decision: BytestreamDecision, _ application: Element, on eventLoop: any EventLoop,
        about session: BytestreamSession
    ) {
        switch decision {
        case .decline(let text):
            end(
                session, XMPPError(.streamRefused, "the application declined"),
                tell: JingleReason("decline", text: text))
        case .accept(let initializer):
            guard let transport = session.negotiation.accept() else { return }
            let logger = logger
            session.plan = BytestreamSession.ChannelPlan(eventLoop: eventLoop, initializer: initializer) { result in
                guard case .failure(let error) = result else { return }
                logger.debug("bytestream failed to start", metadata: [LogKeys.reason: "\(error)"])
            }
            var content = JingleContent(application: application, transport: transport)
            content.name = session.contentName
            let message = JingleMessage(.sessionAccept, sid: session.sid, responder: sink?.ownJID, contents: [content])
            request(message.element, of: session) { multiplexer, session, result in
                guard case .failure(let error) = result, session.negotiation.isNegotiating else { return }
                multiplexer.end(session, XMPPError(refusal: error), tell: nil)
            }
        }
    }

    /// `<open/>`: the last step of an accepted session; anything else nobody asked for (XEP-0047 §2.1).
    func receivedOpen(_ iq: IQRequest) {
        do throws(StanzaError) {
            guard iq.kind == .set else { throw .badRequest }
            let open = try IBBOpen(parsing: iq.payload)
            guard let session = sessionsByTransport[BytestreamSession.Key(peer: iq.from, sid: open.sid)] else {
                throw .notAcceptable
            }
            switch session.negotiation.received(open: open) {
            case .refuse(let error): throw error
            case .establish(let transport):
                answer(iq, .success(nil))
                establish(session, transport)
            }
        } catch {
            answer(iq, .failure(error))
        }
    }

    // MARK: Both

    /// One step of a Jingle session (XEP-0166 §7.2).
    func receivedJingle(_ iq: IQRequest) {
        let message: JingleMessage
        do throws(StanzaError) {
            guard iq.kind == .set else { throw .badRequest }
            message = try JingleMessage(parsing: iq.payload)
        } catch {
            return answer(iq, .failure(error))
        }
        let key = BytestreamSession.Key(peer: iq.from, sid: message.sid)
        guard message.action != .sessionInitiate else { return receivedInitiate(iq, message) }
        guard let session = sessionsByID[key] else {
            // Both sides may end a session at the same time; the second to hear of it need not be told off.
            let isEnded = message.action == .sessionTerminate && remembered.contains(key)
            return answer(iq, isEnded ? .success(nil) : .failure(.unknownSession))
        }
        switch message.action {
        case .sessionInitiate: break
        case .sessionAccept: receivedAccept(iq, message, of: session)
        case .sessionTerminate: receivedTerminate(iq, message, of: session)
        case .sessionInfo: answer(iq, message.hasPayload ? .failure(.unsupportedInfo) : .success(nil))
        case .contentAdd: reject(.contentReject, iq, message, of: session)
        case .transportReplace: reject(.transportReject, iq, message, of: session)
        case .contentAccept, .contentModify, .contentReject, .contentRemove, .transportAccept, .transportReject:
            answer(iq, .failure(.outOfOrder))
        case .descriptionInfo, .securityInfo, .transportInfo: answer(iq, .failure(.unsupportedInfo))
        }
    }

    /// Declines what would change a session (XEP-0166 §7.2.2, §7.2.15).
    private func reject(
        _ action: JingleMessage.Action, _ iq: IQRequest, _ message: JingleMessage, of session: BytestreamSession
    ) {
        guard !message.contents.isEmpty else { return answer(iq, .failure(.badRequest)) }
        answer(iq, .success(nil))
        // Only names are repeated: what the peer put into its contents is not ours to send.
        let contents = message.contents.map { content in
            var content = content
            content.application = nil
            return content
        }
        let rejection = JingleMessage(action, sid: session.sid, contents: contents)
        request(rejection.element, of: session) { multiplexer, session, result in
            multiplexer.logFailure(of: "rejection", result, session)
        }
    }

    /// The negotiation is done: makes the channel.
    private func establish(_ session: BytestreamSession, _ transport: InBandTransport) {
        guard let plan = session.plan else {
            return end(session, XMPPError(.streamClosed, "nobody waits for it"), tell: JingleReason("gone"))
        }
        let number = session.number
        let link = BytestreamLink(
            eventLoop: plan.eventLoop, capacity: limits.sendBuffer, executor: executor,
            stanzaWork: { [weak self] in self?.serve(number) })
        session.driver = IBBDriver(blockSize: transport.blockSize, link: link, limits: limits)
        session.plan = nil
        session.deadline = nil
        logger.debug("bytestream open", metadata: metadata(of: session))
        BytestreamChannel.start(link: link, initializer: plan.initializer, completion: plan.completion)
    }

    /// Asks the peer of a session; `completion` is called only if session and connection are still the same.
    func request(
        _ payload: Element, of session: BytestreamSession,
        completion: @escaping (BytestreamMultiplexer, BytestreamSession, Result<Element?, XMPPError>) -> Void
    ) {
        let number = session.number
        sink?.sendIQ(.set, to: session.peer, payload: payload, timeout: limits.acknowledgementTimeout) {
            [weak self] result in
            guard let self, let session = self.sessions[number] else { return }
            completion(self, session, result)
        }
    }

    private func add(_ session: BytestreamSession) {
        sessions[session.number] = session
        sessionsByID[session.key] = session
        sessionsByTransport[session.transportKey] = session
    }

    /// What log lines about a session carry.
    func metadata(of session: BytestreamSession) -> Logger.Metadata {
        [LogKeys.peer: "\(session.peer)", LogKeys.streamID: "\(session.transportSID)"]
    }
}

extension XMPPError {
    /// A peer's refusal of a bytestream, or why it could not be asked.
    fileprivate init(refusal error: XMPPError) {
        guard error.code == .stanza, let stanzaError = error.stanzaError else {
            self = error
            return
        }
        self.init(
            .streamRefused, "the peer does not take the bytestream: \(stanzaError.condition)",
            stanzaError: stanzaError, cause: error.cause)
    }
}
