import Logging
import NIOCore

extension BytestreamMultiplexer {
    // MARK: The peer ends

    /// session-terminate: a bytestream that is done ends like a closed socket, any other as a failure.
    func receivedTerminate(_ iq: IQRequest, _ message: JingleMessage, of session: BytestreamSession) {
        answer(iq, .success(nil))
        session.isTerminatedByPeer = true
        let reason = message.reason ?? JingleReason("success")
        guard session.driver != nil, reason.isOrderly else {
            let code: XMPPError.Code = session.negotiation.isNegotiating ? .streamRefused : .streamClosed
            return end(session, XMPPError(code, "\(session.peer) ended the bytestream: \(reason.summary)"), tell: nil)
        }
        peerClosed(session)
    }

    /// `<close/>` (XEP-0047 §2.3).
    func receivedClose(_ iq: IQRequest) {
        guard iq.kind == .set, let sid = iq.payload["sid"] else { return answer(iq, .failure(.badRequest)) }
        guard let session = sessionsByTransport[BytestreamSession.Key(peer: iq.from, sid: sid)], session.driver != nil
        else { return answer(iq, .failure(.itemNotFound)) }
        answer(iq, .success(nil))
        peerClosed(session)
    }

    private func peerClosed(_ session: BytestreamSession) {
        guard let driver = session.driver else { return }
        session.isClosedByPeer = true
        switch driver.machine.receivedClose() {
        case .ignore: break
        case .goesOn:
            turns.remove(session.number)
            // The channel says when it has read everything; one whose handlers never read must not keep its place.
            session.deadline = clock() + TimeAmount(limits.acknowledgementTimeout)
            driver.link.ended(.orderly)
        case .ended(let unanswered): finish(session, unanswered: unanswered)
        }
    }

    // MARK: Our channel ends

    /// The channel has closed.
    func channelClosed(_ close: BytestreamLink.Close, of session: BytestreamSession) {
        guard let driver = session.driver else { return }
        if case .failed(let text) = close {
            return end(
                session, XMPPError(.streamClosed, text), tell: JingleReason("failed-application", text: text))
        }
        switch driver.machine.closed(bytesWait: driver.link.waiting > 0) {
        case .ignore, .goesOn: break
        case .ended(let unanswered): finish(session, unanswered: unanswered)
        }
    }

    /// Everything was sent, or there is nothing to send any more: ends bytestream and session (XEP-0261 §2.4). A peer that has
    /// ended them itself is told nothing.
    func finish(_ session: BytestreamSession, unanswered: [String]) {
        forget(session)
        // Ahead of the answers: to a peer that knows of the close they are no failure.
        if !session.isClosedByPeer, !session.isTerminatedByPeer { tellClose(session) }
        answerUnread(unanswered, of: session)
        if !session.isTerminatedByPeer { terminate(session.sid, with: session.peer, JingleReason("success")) }
    }

    // MARK: Failure

    /// Ends a session at once, whatever its state, and tells the peer if `reason` is given.
    func end(_ session: BytestreamSession, _ error: XMPPError, tell reason: JingleReason?) {
        guard sessions[session.number] != nil else { return }
        var meta = metadata(of: session)
        meta[LogKeys.reason] = "\(error)"
        logger.debug("bytestream failed", metadata: meta)
        forget(session)
        if let driver = session.driver {
            if case .ended(let unanswered) = driver.machine.lost() { answerUnread(unanswered, of: session) }
            driver.link.ended(.failed(error))
        }
        // No `<close/>`: that would look like an end in good order, and the session's end is the bytestream's (XEP-0261 §2.4).
        if let reason, !session.isTerminatedByPeer { terminate(session.sid, with: session.peer, reason) }
        guard let plan = session.plan else { return }
        session.plan = nil
        plan.completion(.failure(error))
    }

    /// That resource went offline: its bytestreams fail at once.
    func peerUnavailable(_ peer: JID) {
        for session in sessions.values where session.peer == peer {
            end(session, XMPPError(.streamClosed, "\(peer) went offline"), tell: nil)
        }
        pump()
    }

    /// That account is no contact any more, here or in the server's list, as `reason` says: bytestreams of all its resources fail at once.
    /// `peer` is bare.
    func contactRemoved(_ peer: JID, _ reason: String) {
        for session in sessions.values where session.peer.bare == peer {
            end(session, XMPPError(.streamClosed, reason), tell: JingleReason("gone"))
        }
        pump()
    }

    /// Ends a bytestream because another account needs its place, and says so to its peer and to whoever watches.
    func displace(_ session: BytestreamSession, for newcomer: JID) {
        let text = "all \(limits.streams) places for bytestreams are taken, and \(session.peer.bare) held the most"
        end(session, XMPPError(.limitExceeded, text), tell: JingleReason("general-error", text: text))
        sink?.displaced(session.peer, for: newcomer)
    }

    /// The connection ended: all bytestreams and attempts fail with that error at once. Handlers stay set.
    func disconnected(_ error: XMPPError) {
        connection += 1
        budget = ByteBudget(
            initial: limits.initialBudget, minimum: limits.blockSize, maximum: limits.maximumBudget)
        for session in Array(sessions.values) { end(session, error, tell: nil) }
        turns = FairTurns()
        remembered.removeAll()
    }

    /// Looks after deadlines; to be called at least every 250 ms while connected.
    func tick() {
        let now = clock()
        for session in Array(sessions.values) {
            guard let deadline = session.deadline, deadline <= now else {
                endIfSilent(session, at: now)
                continue
            }
            let text =
                session.driver == nil
                ? "\(session.peer) did not finish the negotiation of a bytestream in time"
                : "the end of a bytestream from \(session.peer) was not read in time"
            end(session, XMPPError(.timedOut, text), tell: JingleReason("timeout"))
        }
        probe(at: now)
    }

    /// Finds out whether blocks that nobody has acknowledged for long have left our uplink (``ByteBudget``).
    private func probe(at now: NIODeadline) {
        guard !turns.isEmpty, let sink, let server = sink.ownJID?.server, let ticket = budget.probe(at: now) else { return }
        let connection = connection
        sink.sendIQ(
            .get, to: server, payload: PingExtension.question,
            timeout: limits.acknowledgementTimeout
        ) { [weak self] result in
            guard let self, self.connection == connection else { return }
            switch result {
            case .success: self.budget.probeAnswered(ticket, at: self.clock())
            // A server that knows no pings has still taken this one in its turn.
            case .failure(let error) where error.code == .stanza: self.budget.probeAnswered(ticket, at: self.clock())
            case .failure: self.budget.probeFailed()
            }
            self.pump()
        }
    }

    // MARK: Steps

    /// Takes a session out of all tables.
    private func forget(_ session: BytestreamSession) {
        guard sessions.removeValue(forKey: session.number) != nil else { return }
        sessionsByID[session.key] = nil
        sessionsByTransport[session.transportKey] = nil
        turns.remove(session.number)
        guard session.negotiation.end() != .ignore, !session.isTerminatedByPeer else { return }
        if remembered.count >= BytestreamMultiplexer.mostRemembered { remembered.removeFirst() }
        remembered.append(session.key)
    }

    private func tellClose(_ session: BytestreamSession) {
        sink?.sendIQ(
            .set, to: session.peer, payload: IBBOpen.close(sid: session.transportSID),
            timeout: limits.acknowledgementTimeout
        ) { [weak self] result in
            self?.logFailure(of: "close", result, session)
        }
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
    func logFailure(of step: String, _ result: Result<Element?, XMPPError>, _ session: BytestreamSession) {
        guard case .failure(let error) = result else { return }
        var meta = metadata(of: session)
        meta[LogKeys.reason] = "\(error)"
        logger.debug("step of a bytestream not taken", metadata: meta)
    }
}
