import Logging
import NIOCore

extension JingleSessions: JingleTransportOwner {
    // MARK: What transports say

    func opened(_ number: UInt64) -> ChannelPlan? {
        guard let session = sessions[number] else { return nil }
        guard session.machine.opened(), let plan = session.plan else {
            end(session, XMPPError(.streamClosed, "nobody waits for it"), tell: JingleReason("gone"))
            return nil
        }
        session.plan = nil
        session.deadline = nil
        turns.opened(number, at: clock())
        if !session.transport.usesConnection { isSetUp(number) }
        return plan
    }

    func receivedFirstBytes(_ number: UInt64) { isSetUp(number) }

    /// Ends the session with its stream (XEP-0261 §2.4). A peer that has ended it itself is told nothing.
    func finished(_ number: UInt64) {
        guard let session = sessions[number] else { return }
        forget(session)
        session.transport.close(number, isPeerGone: session.isTerminatedByPeer)
        if !session.isTerminatedByPeer { terminate(session.sid, with: session.peer, JingleReason("success")) }
    }

    func failed(_ number: UInt64, _ error: XMPPError, tell reason: JingleReason) {
        if let session = sessions[number] { end(session, error, tell: reason) }
    }

    func inform(_ number: UInt64, _ info: Element, refused: @escaping (XMPPError) -> Void) {
        guard let session = sessions[number] else { return }
        let content = JingleContent(name: session.contentName, application: nil, transport: info)
        let message = JingleMessage(.transportInfo, sid: session.sid, contents: [content])
        request(message.element, of: session) { _, _, result in
            if case .failure(let error) = result { refused(XMPPError(refusal: error)) }
        }
    }

    // MARK: The peer ends

    /// session-terminate: a stream that is done ends like a closed socket, any other as a failure.
    func receivedTerminate(_ iq: IQRequest, _ message: JingleMessage, of session: JingleSession) {
        answer(iq, .success(nil))
        session.isTerminatedByPeer = true
        let reason = message.reason ?? JingleReason("success")
        guard reason.isOrderly, session.transport.peerEnded(session.number) else {
            let code: XMPPError.Code = session.machine.isNegotiating ? .streamRefused : .streamClosed
            return end(session, XMPPError(code, "\(session.peer) ended the bytestream: \(reason.summary)"), tell: nil)
        }
    }

    // MARK: Failure

    /// Ends a session at once, whatever its state, and tells the peer if `reason` is given.
    func end(_ session: JingleSession, _ error: XMPPError, tell reason: JingleReason?) {
        guard sessions[session.number] != nil else { return }
        var meta = metadata(of: session)
        meta[LogKeys.reason] = "\(error)"
        logger.debug("bytestream failed", metadata: meta)
        forget(session)
        var error = error
        error.report = session.transport.report(session.number)
        session.transport.lose(session.number, error)
        if let reason, session.isKnownToPeer, !session.isTerminatedByPeer { terminate(session.sid, with: session.peer, reason) }
        guard let plan = session.plan else { return }
        session.plan = nil
        plan.completion(.failure(error))
    }

    /// That connection is gone: its sessions fail at once, but for those whose bytes do not need it.
    func left(_ resource: PresenceResource) {
        giveUp(XMPPError(.streamClosed, "\(resource.jid) went offline")) { $0.peer == resource.jid }
        for session in sessions.values where session.peer == resource.jid && !session.transport.isIndependent(session.number) {
            end(session, XMPPError(.streamClosed, "\(session.peer) went offline"), tell: nil)
        }
    }

    /// Sessions with all connections of the account fail at once.
    func contactEnded(_ account: JID, _ reason: String) {
        giveUp(XMPPError(.streamClosed, reason)) { $0.peer.bare == account }
        for session in sessions.values where session.peer.bare == account {
            end(session, XMPPError(.streamClosed, reason), tell: JingleReason("gone"))
        }
    }

    /// Ends a bytestream because another account needs its place, and says so to its peer and to whoever watches.
    func displace(_ session: JingleSession, for newcomer: JID) {
        let text = "all \(limits.streams) places for bytestreams are taken, and \(session.peer.bare) held the most"
        end(session, XMPPError(.limitExceeded, text), tell: JingleReason("general-error", text: text))
        sink?.displaced(session.peer, for: newcomer)
    }

    /// All sessions and attempts end at once. Streams whose bytes do not need the connection go on without theirs, unless the client is
    /// stopped. Handlers stay set.
    func disconnected(_ error: XMPPError) {
        giveUp(error) { _ in true }
        for session in Array(sessions.values) {
            if error.code != .cancelled, session.transport.detach(session.number) {
                forget(session)
            } else {
                end(session, error, tell: nil)
            }
        }
        remembered.removeAll()
    }

    func tick() {
        let now = clock()
        passTime(at: now)
        for session in Array(sessions.values) {
            guard let deadline = session.deadline, deadline <= now else { continue }
            let text = "\(session.peer) did not finish the negotiation of a bytestream in time"
            end(session, XMPPError(.timedOut, text), tell: JingleReason("timeout"))
        }
    }

    // MARK: Steps

    /// Takes a session out of all tables.
    private func forget(_ session: JingleSession) {
        guard sessions.removeValue(forKey: session.number) != nil else { return }
        sessionsByID[session.key] = nil
        defer { isSetUp(session.number) }
        guard session.machine.end(), !session.isTerminatedByPeer else { return }
        if remembered.count >= JingleSessions.mostRemembered { remembered.removeFirst() }
        remembered.append(session.key)
    }

    /// Sends a session-terminate. Nothing depends on its answer: for us the session is gone.
    func terminate(_ sid: String, with peer: JID, _ reason: JingleReason) {
        let message = JingleMessage(.sessionTerminate, sid: sid, reason: reason)
        let logger = logger
        sink?.sendIQ(.set, to: peer, payload: message.element, timeout: limits.acknowledgementTimeout) { result in
            guard case .failure(let error) = result else { return }
            logger.debug("session-terminate not taken", metadata: [LogKeys.peer: "\(peer)", LogKeys.reason: "\(error)"])
        }
    }

    /// Logs that a step nothing depends on was not taken.
    func logFailure(of step: String, _ result: Result<Element?, XMPPError>, _ session: JingleSession) {
        guard case .failure(let error) = result else { return }
        var meta = metadata(of: session)
        meta[LogKeys.reason] = "\(error)"
        logger.debug("step of a bytestream not taken", metadata: meta)
    }
}
