import NIOCore

extension InBandBytestreams {
    // MARK: Receiving

    /// Takes a `<data xmlns='http://jabber.org/protocol/ibb'/>` inside an IQ set, without an element tree. `sid` and
    /// `sequence` are the attributes as they came, `base64` the character data, valid during the call only.
    func receivedData(from peer: JID, id: String, sid: String?, sequence: String?, base64: UnsafeRawBufferPointer) {
        guard let sid else {
            sink?.answer(to: peer, id: id, with: .failure(.badRequest))
            return
        }
        guard let stream = streamsByID[StreamKey(peer: peer, sid: sid)], let driver = stream.driver else {
            sink?.answer(to: peer, id: id, with: .failure(.itemNotFound))
            return
        }
        switch driver.received(id: id, sequence: sequence.flatMap { UInt16($0) }, base64: base64) {
        case .deliver, .drop:
            stream.lastSign = clock()
            meter.arrived(Base64.longestDecodedCount(base64.count), at: stream.lastSign)
            guard !stream.hasReceived else { return }
            stream.hasReceived = true
            owner?.receivedFirstBytes(stream.number)
        case .refuse(let error): sink?.answer(to: peer, id: id, with: .failure(error))
        case .fail(let error, let unanswered, let reason):
            sink?.answer(to: peer, id: id, with: .failure(error))
            answerUnread(unanswered, of: stream)
            fail(
                stream, XMPPError(.streamClosed, "\(peer) broke the bytestream: \(reason)"),
                JingleReason("failed-transport", text: reason))
        }
    }

    /// The same, from an element.
    func receivedDataElement(_ iq: IQRequest) {
        guard iq.kind == .set else { return answer(iq, .failure(.badRequest)) }
        // A block has no elements inside (XEP-0047 §4): what a character outside the alphabet makes of it is told the same way.
        var text = iq.payload.children.isEmpty ? iq.payload.text : "<"
        text.withUTF8 { base64 in
            receivedData(
                from: iq.from, id: iq.id, sid: iq.payload["sid"], sequence: iq.payload["seq"],
                base64: UnsafeRawBufferPointer(base64))
        }
    }

    // MARK: A channel's orders

    /// A channel has read blocks, flushed bytes, or closed.
    func serve(_ number: UInt64) {
        guard let stream = streams[number], let driver = stream.driver else { return }
        let orders = driver.link.takeOrders()
        if orders.waiting > 0, driver.machine.maySend { turns.wait(number) }
        // A short answer goes out before the acknowledgement of what it answers: the peer waits for it. More than a block
        // would make the acknowledgements wait, and with them the peer's window.
        let isShort = orders.waiting > 0 && orders.waiting <= payload(stream, driver)
        if isShort { pump() }
        for id in driver.machine.delivered(blocks: orders.delivered) {
            sink?.answer(to: stream.peer, id: id, with: .success(nil))
        }
        if !isShort { pump() }
        if let close = orders.close, streams[number] != nil { channelClosed(close, of: stream, driver) }
    }

    // MARK: Sending

    /// Sends blocks, one from each bytestream in turn, as long as windows and budget allow.
    func pump() {
        // The sink may complete at once, and completions pump too.
        guard !isPumping else { return }
        isPumping = true
        sendBlocks()
        isPumping = false
        probe()
    }

    private func sendBlocks() {
        while let number = turns.next() {
            guard let stream = streams[number], let driver = stream.driver, driver.machine.maySend else { continue }
            let count = min(payload(stream, driver), driver.link.waiting)
            guard count > 0 else { continue }
            guard allows(Base64.encodedCount(count) + stream.overhead) else {
                turns.putBack(number)
                return
            }
            sendBlock(of: count, stream, driver)
        }
    }

    private func sendBlock(of count: Int, _ stream: InBandStream, _ driver: IBBDriver) {
        let now = clock()
        guard let sink, let sequence = driver.machine.nextBlock(at: now) else { return }
        var length = 0
        let (left, hasMore) = driver.link.takeOutbound(count, room: room) { bytes in
            length = characters.withUnsafeMutableBytes { Base64.encode(bytes, into: $0) }
        }
        hasBacklog = left > 0 || hasMore || !turns.isEmpty
        let ticket = budget.sent(length + stream.overhead, of: stream.number, backlogged: hasBacklog, at: now)
        note(count, at: now)
        if left > 0, driver.machine.maySend { turns.wait(stream.number) }
        let number = stream.number
        let connection = connection
        characters.withUnsafeBytes { characters in
            sink.sendData(
                to: stream.peer, sid: stream.sid, sequence: sequence,
                base64: UnsafeRawBufferPointer(rebasing: characters.prefix(length)),
                timeout: limits.longestStall
            ) { [weak self] result in
                guard let self, self.connection == connection else { return }
                self.blockAnswered(result, sequence, ticket, of: number)
            }
        }
        if left == 0, let unanswered = driver.machine.sentEverything() { finish(stream, unanswered: unanswered) }
    }

    private func blockAnswered(
        _ result: Result<Void, XMPPError>, _ sequence: UInt16, _ ticket: ByteBudget.Ticket, of number: UInt64
    ) {
        let now = clock()
        switch result {
        case .success: budget.answered(ticket, at: now)
        case .failure(let error) where error.code == .stanza: budget.answered(ticket, at: now)
        case .failure: budget.gaveUp(ticket)
        }
        if let stream = streams[number], let driver = stream.driver {
            switch result {
            case .success:
                stream.lastSign = now
                if driver.machine.acknowledged(sequence: sequence, at: now), driver.link.waiting > 0 {
                    turns.wait(number)
                }
            case .failure(let error): blockFailed(error, stream, driver)
            }
        }
        pump()
    }

    private func blockFailed(_ error: XMPPError, _ stream: InBandStream, _ driver: IBBDriver) {
        // The peer's close overtakes the answers to what it did not take any more.
        guard driver.machine.isSending else { return }
        if error.code == .timedOut { return stalled(stream, for: limits.longestStall) }
        fail(
            stream,
            XMPPError(
                .streamClosed, "\(stream.peer) did not take a block of the bytestream", stanzaError: error.stanzaError, cause: error),
            JingleReason("failed-transport"))
    }

    /// A peer that reads nothing while it sends a long answer is there; one that neither sends nor acknowledges is not.
    func endIfSilent(_ stream: InBandStream, at now: NIODeadline) {
        guard let since = stream.driver?.machine.unacknowledgedSince else { return }
        guard now - max(since, stream.lastSign) >= TimeAmount(limits.acknowledgementTimeout) else { return }
        stalled(stream, for: limits.acknowledgementTimeout)
    }

    private func stalled(_ stream: InBandStream, for time: Duration) {
        fail(
            stream, XMPPError(.timedOut, "\(stream.peer) acknowledged nothing for \(time.components.seconds) s"),
            JingleReason("timeout"))
    }
}
