import Logging
import NIOCore
import QiWire

/// Frames of the peer, taken in turns: what one burst holds beyond a turn waits until others had theirs (``BurstTurn``).
extension Connection: TurnTaker {
    func received(_ bytes: ByteBuffer) {
        guard !isClosed else { return }
        lastReceived = .now()
        if turnIsDue { beginTurn() }
        decoder.append(bytes)
        takeMessages()
    }

    /// The burst has ended: what comes next begins a turn of its own.
    func burstEnded() { turnIsDue = true }

    /// What the peer has sent is left for later.
    var isHeld: Bool { hold != nil }

    private func beginTurn() {
        turnIsDue = false
        turn = BurstTurn(at: lastReceived, filter == nil && !isOutside ? .trusted : .judged)
    }

    func takeMessages() {
        boundFrames()
        do {
            while !isClosed, !isHeld, !turn.isOver, var message = try decoder.next() {
                frameEnded()
                if message.flags.contains(.sharedMemory), let sharedMemory { message = try sharedMemory.resolve(message, on: self) }
                let bytes = message.payload.readableBytes
                if message.isCut {
                    refuseCut(message)
                } else if isOpen {
                    dispatch(message)
                } else {
                    handle(message)
                }
                turn.took(bytes) { .now() }
            }
        } catch {
            logger.debug("connection closed: bad frame", metadata: [LogKeys.peer: "\(origin)", LogKeys.error: "\(error)"])
            return close(.invalid("the peer sent something that is not qi: \(error.message)"))
        }
        guard !isClosed else { return }
        countFrame()
        if turn.isOver, !isHeld, decoder.hasUnsplitBytes { waitForTurn() }
    }

    /// Leaves the rest until others had their turn.
    private func waitForTurn() {
        if !hasInputEnded { setReading(false) }
        takeATurn()
    }

    /// ``goOn()`` is called when the turn comes.
    private func takeATurn() {
        hold = .turn
        (turnGiver ?? bus.turns).append(self)
    }

    /// Takes no message of the peer for a while, not even what has arrived. Answers go out, and are not read.
    func holdReading(for time: TimeAmount) {
        guard !isHeld, !isClosed, !hasInputEnded else { return }
        hold = .time
        setReading(false)
        _ = bus.schedule(at: .now() + time) { [weak self] in
            guard let self, !isClosed, hold == .time else { return }
            takeATurn()
            bus.executor.scheduleDrain()
        }
    }

    /// Takes nothing of what comes until its turn: the channel is about to end.
    func waitForLastTurn() {
        if isOpen, !isClosed, !isHeld { takeATurn() }
    }

    /// The channel has ended. What a peer that was let in has sent before is taken first, in turns as well: it may have posted and gone.
    /// As much may be there as the system keeps for a socket.
    func inputEnded(_ reason: CloseReason) {
        guard !hasInputEnded else { return }
        guard isOpen, isHeld, decoder.hasUnsplitBytes else { return ended(reason) }
        inputEnd = reason
        if hold != .turn { takeATurn() }
    }

    /// The turn has come.
    func goOn() {
        guard !isClosed else { return }
        lastReceived = .now()
        beginTurn()
        hold = nil
        takeMessages()
        turnIsDue = true
        guard !isClosed, !isHeld else { return }
        if let inputEnd { return ended(inputEnd) }
        if !isReadingPaused { setReading(true) }
    }
}
