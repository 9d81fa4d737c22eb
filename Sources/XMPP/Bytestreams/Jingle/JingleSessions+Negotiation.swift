import Logging
import NIOCore

extension JingleSessions {
    // MARK: Our offers

    /// Sends a session-initiate; the reason when that cannot be.
    func initiate(_ opening: Opening) -> XMPPError? {
        guard let ownJID = sink?.ownJID, let transport = transport(opening.transport.kind) else {
            turns.left(opening.number)
            return XMPPError(.notConnected, "there is no connection to the XMPP server")
        }
        let session = JingleSession(
            number: opening.number, StreamKey(peer: opening.peer, sid: StreamName.random()), .initiator, over: transport,
            plan: opening.plan, deadline: clock() + opening.timeout)
        let number = opening.number
        add(session)
        transport.offer(number, to: opening.peer, as: opening.transport, on: opening.plan.eventLoop) { [weak self] offer in
            guard let self, let session = self.sessions[number] else { return }
            switch offer {
            case .success(let element): self.sendInitiate(session, ownJID, opening.application, element)
            case .failure(let error): self.end(session, error, tell: nil)
            }
        }
        return nil
    }

    private func sendInitiate(_ session: JingleSession, _ ownJID: JID, _ application: Element, _ transport: Element) {
        session.isKnownToPeer = true
        let message = JingleMessage(
            .sessionInitiate, sid: session.sid, initiator: ownJID,
            contents: [JingleContent(application: application, transport: transport)])
        request(message.element, of: session) { sessions, session, result in
            guard case .failure(let error) = result, session.machine.isNegotiating else { return }
            sessions.end(session, XMPPError(refusal: error), tell: nil)
        }
    }

    private func receivedAccept(_ iq: IQRequest, _ message: JingleMessage, of session: JingleSession) {
        guard session.machine.peerAccepted() else { return answer(iq, .failure(.outOfOrder)) }
        answer(iq, .success(nil))
        let transport = message.contents.count == 1 ? known(message.contents[0].transports) : nil
        guard let transport, transport.transport === session.transport,
            session.transport.peerAccepted(session.number, transport.element)
        else {
            let reason = JingleReason("failed-transport", text: "that is not the transport that was offered")
            return end(session, XMPPError(.streamRefused, reason.text), tell: reason)
        }
    }

    // MARK: Contacts' offers

    private func receivedInitiate(_ iq: IQRequest, _ message: JingleMessage) {
        guard !iq.from.isBare, !message.contents.isEmpty, message.contents.allSatisfy({ $0.creator == "initiator" }),
            let content = message.contents.first, let application = content.application
        else { return answer(iq, .failure(.badRequest)) }
        let key = StreamKey(peer: iq.from, sid: message.sid)
        guard sessionsByID[key] == nil else {
            return answer(iq, .failure(.outOfOrder))
        }
        guard let room = room(for: iq.from) else { return answer(iq, .failure(.resourceConstraint)) }
        // From here on the session exists for the peer, and a refusal is a session-terminate (XEP-0166 §6.3).
        answer(iq, .success(nil))
        guard message.contents.count == 1, let handler = handlers.offer(applicationNamespace: application.namespace ?? "") else {
            return terminate(message.sid, with: iq.from, JingleReason("unsupported-applications"))
        }
        guard let (transport, element) = known(content.transports), transport.isAvailable else {
            return terminate(message.sid, with: iq.from, JingleReason("unsupported-transports"))
        }
        let number = takeNumber()
        do throws(JingleReason) {
            try transport.take(number, element, of: iq.from)
        } catch {
            return terminate(message.sid, with: iq.from, error)
        }
        let session = JingleSession(
            number: number, key, .responder, over: transport, deadline: clock() + TimeAmount(limits.negotiationTimeout),
            contentName: content.name)
        if case .of(let other) = room { displace(other, for: iq.from) }
        add(session)
        decide(session, application, handler)
    }

    private func decide(_ session: JingleSession, _ application: Element, _ handler: BytestreamOfferHandler) {
        let number = session.number
        let offer = BytestreamOffer(from: session.peer, application: application, sid: session.sid, transport: session.transport.kind)
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
        about session: JingleSession
    ) {
        switch decision {
        case .decline(let text):
            end(
                session, XMPPError(.streamRefused, "the application declined"),
                tell: JingleReason("decline", text: text))
        case .accept(let initializer): accepted(session, application, on: eventLoop) { channel, _ in initializer(channel) }
        case .acceptReporting(let initializer): accepted(session, application, on: eventLoop, initializer)
        case .acceptOver(let choice, let initializer): accepted(session, application, as: choice, on: eventLoop, initializer)
        }
    }

    private func accepted(
        _ session: JingleSession, _ application: Element, as choice: BytestreamTransport? = nil, on eventLoop: any EventLoop,
        _ initializer: @escaping @Sendable (any Channel, BytestreamReport) -> EventLoopFuture<Void>
    ) {
        guard session.machine.accepted() else { return }
        let logger = logger
        session.plan = ChannelPlan(eventLoop: eventLoop, initializer: initializer) { result in
            guard case .failure(let error) = result else { return }
            logger.debug("bytestream failed to start", metadata: [LogKeys.reason: "\(error)"])
        }
        let number = session.number
        session.transport.accept(number, as: choice, on: eventLoop) { [weak self] transport in
            guard let self, let session = self.sessions[number] else { return }
            guard let transport else {
                return self.end(session, XMPPError(.streamClosed, "its transport is gone"), tell: JingleReason("failed-transport"))
            }
            self.sendAccept(session, application, transport)
        }
    }

    private func sendAccept(_ session: JingleSession, _ application: Element, _ transport: Element) {
        let content = JingleContent(name: session.contentName, application: application, transport: transport)
        let message = JingleMessage(.sessionAccept, sid: session.sid, responder: sink?.ownJID, contents: [content])
        request(message.element, of: session) { sessions, session, result in
            guard case .failure(let error) = result, session.machine.isNegotiating else { return }
            sessions.end(session, XMPPError(refusal: error), tell: nil)
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
        let key = StreamKey(peer: iq.from, sid: message.sid)
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
        case .transportInfo: receivedTransportInfo(iq, message, of: session)
        case .descriptionInfo, .securityInfo: answer(iq, .failure(.unsupportedInfo))
        }
    }

    private func receivedTransportInfo(_ iq: IQRequest, _ message: JingleMessage, of session: JingleSession) {
        guard message.contents.count == 1, message.contents[0].transports.count == 1 else { return answer(iq, .failure(.badRequest)) }
        let info = message.contents[0].transports[0]
        guard info.namespace == session.transport.namespace else { return answer(iq, .failure(.unsupportedInfo)) }
        session.transport.received(session.number, info) { error in answer(iq, error.map { .failure($0) } ?? .success(nil)) }
    }

    /// Declines what would change a session (XEP-0166 §7.2.2, §7.2.15).
    private func reject(
        _ action: JingleMessage.Action, _ iq: IQRequest, _ message: JingleMessage, of session: JingleSession
    ) {
        guard !message.contents.isEmpty else { return answer(iq, .failure(.badRequest)) }
        answer(iq, .success(nil))
        // Only names are repeated: what the peer put into its contents is not ours to send.
        let contents = message.contents.map { content in
            var content = content
            content.application = nil
            content.transports = known(content.transports).flatMap { $0.transport.repeated($0.element) }.map { [$0] } ?? []
            return content
        }
        let rejection = JingleMessage(action, sid: session.sid, contents: contents)
        request(rejection.element, of: session) { sessions, session, result in
            sessions.logFailure(of: "rejection", result, session)
        }
    }

    /// Asks the peer of a session; `completion` is called only if session and connection are still the same.
    func request(
        _ payload: Element, of session: JingleSession,
        completion: @escaping (JingleSessions, JingleSession, Result<Element?, XMPPError>) -> Void
    ) {
        let number = session.number
        sink?.sendIQ(.set, to: session.peer, payload: payload, timeout: limits.acknowledgementTimeout) {
            [weak self] result in
            guard let self, let session = self.sessions[number] else { return }
            completion(self, session, result)
        }
    }

    private func add(_ session: JingleSession) {
        sessions[session.number] = session
        sessionsByID[session.key] = session
    }

    /// What log lines about a session carry.
    func metadata(of session: JingleSession) -> Logger.Metadata {
        [LogKeys.peer: "\(session.peer)", LogKeys.streamID: "\(session.sid)"]
    }
}

extension XMPPError {
    /// A peer's refusal of a bytestream, or why it could not be asked.
    init(refusal error: XMPPError) {
        guard error.code == .stanza, let stanzaError = error.stanzaError else {
            self = error
            return
        }
        self.init(
            .streamRefused, "the peer does not take the bytestream: \(stanzaError.condition)",
            stanzaError: stanzaError, cause: error.cause)
    }
}
