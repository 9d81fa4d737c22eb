import Logging
import NIOCore

extension InBandBytestreams {
    // MARK: The peer ends

    /// `<close/>` (XEP-0047 §2.3).
    func receivedClose(_ iq: IQRequest) {
        guard iq.kind == .set, let sid = iq.payload["sid"] else { return answer(iq, .failure(.badRequest)) }
        guard let stream = streamsByID[StreamKey(peer: iq.from, sid: sid)], let driver = stream.driver else {
            return answer(iq, .failure(.itemNotFound))
        }
        answer(iq, .success(nil))
        peerClosed(stream, driver)
    }

    func peerEnded(_ number: UInt64) -> Bool {
        guard let stream = streams[number], let driver = stream.driver else { return false }
        peerClosed(stream, driver)
        return true
    }

    private func peerClosed(_ stream: InBandStream, _ driver: IBBDriver) {
        stream.isClosedByPeer = true
        switch driver.machine.receivedClose() {
        case .ignore: break
        case .goesOn:
            turns.remove(stream.number)
            // The channel says when it has read everything; one whose handlers never read must not keep its place.
            stream.deadline = clock() + TimeAmount(limits.acknowledgementTimeout)
            driver.link.ended(.orderly)
        case .ended(let unanswered): finish(stream, unanswered: unanswered)
        }
    }

    // MARK: Our channel ends

    /// The channel has closed.
    func channelClosed(_ close: BytestreamLink.Close, of stream: InBandStream, _ driver: IBBDriver) {
        if case .failed(let text) = close {
            return fail(stream, XMPPError(.streamClosed, text), JingleReason("failed-application", text: text))
        }
        switch driver.machine.closed(bytesWait: driver.link.waiting > 0) {
        case .ignore, .goesOn: break
        case .ended(let unanswered): finish(stream, unanswered: unanswered)
        }
    }

    /// Everything was sent, or there is nothing to send any more: ends bytestream and session (XEP-0261 §2.4).
    func finish(_ stream: InBandStream, unanswered: [String]) {
        stream.unread = unanswered
        owner?.finished(stream.number)
    }

    func close(_ number: UInt64, isPeerGone: Bool) {
        guard let stream = forget(number) else { return }
        // Ahead of the answers: to a peer that knows of the close they are no failure.
        if !stream.isClosedByPeer, !isPeerGone { tellClose(stream) }
        answerUnread(stream.unread, of: stream)
    }

    private func tellClose(_ stream: InBandStream) {
        let payload = IBBOpen.close(sid: stream.sid)
        sink?.sendIQ(.set, to: stream.peer, payload: payload, timeout: limits.acknowledgementTimeout) {
            [logger, metadata = metadata(of: stream)] result in
            guard case .failure(let error) = result else { return }
            logger.debug("close not taken", metadata: metadata.merging([LogKeys.reason: "\(error)"]) { $1 })
        }
    }

    // MARK: Failure

    /// The bytestream is of no use any more.
    func fail(_ stream: InBandStream, _ error: XMPPError, _ reason: JingleReason) { owner?.failed(stream.number, error, tell: reason) }

    /// No `<close/>`: that would look like an end in good order, and the session's end is the bytestream's (XEP-0261 §2.4).
    func lose(_ number: UInt64, _ error: XMPPError) {
        guard let stream = forget(number), let driver = stream.driver else { return }
        if case .ended(let unanswered) = driver.machine.lost() { answerUnread(unanswered, of: stream) }
        driver.link.ended(.failed(error))
    }

    /// Takes a stream out of all tables.
    private func forget(_ number: UInt64) -> InBandStream? {
        guard let stream = streams.removeValue(forKey: number) else { return nil }
        streamsByID[stream.key] = nil
        turns.remove(number)
        budget.ended(number)
        return stream
    }

    // MARK: The connection

    // Sessions of the peer have ended before this; others may send now.
    func left(_ resource: PresenceResource) { pump() }

    func contactEnded(_ account: JID, _ reason: String) { pump() }

    /// All sessions have ended before this.
    func disconnected(_ error: XMPPError) {
        connection += 1
        budget.reconnected(initial: limits.initialBudget)
        use = SendingBound.Use()
        streamLimits = StreamLimits()
        turns = FairTurns()
        hasBacklog = false
    }

    func tick() {
        let now = clock()
        for stream in Array(streams.values) {
            if let deadline = stream.deadline, deadline <= now {
                let text = "the end of a bytestream from \(stream.peer) was not read in time"
                fail(stream, XMPPError(.timedOut, text), JingleReason("timeout"))
            } else {
                endIfSilent(stream, at: now)
            }
        }
        probe()
    }

    /// Finds out whether what was sent has left our uplink, and how fast it did (``ByteBudget``).
    func probe() {
        guard hasBacklog || !turns.isEmpty, let sink, let server = sink.ownJID?.server, let ticket = budget.probe(at: clock()) else {
            return
        }
        let connection = connection
        sink.sendIQ(.get, to: server, payload: PingExtension.question, timeout: limits.acknowledgementTimeout) { [weak self] result in
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
}
