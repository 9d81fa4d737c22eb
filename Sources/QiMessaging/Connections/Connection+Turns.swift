import Logging
import NIOCore
import QiWire

/// Frames of the peer, taken in turns: what one burst holds beyond a turn waits until others had theirs (``BurstTurn``).
extension Connection {
    func received(_ bytes: ByteBuffer) {
        guard !isClosed else { return }
        lastReceived = .now()
        if turnIsDue { beginTurn() }
        decoder.append(bytes)
        takeMessages()
    }

    /// The burst has ended: what comes next begins a turn of its own.
    func burstEnded() { turnIsDue = true }

    private func beginTurn() {
        turnIsDue = false
        turn = BurstTurn(at: lastReceived, access == nil && !isOutside ? .trusted : .judged)
    }

    func takeMessages() {
        boundFrames()
        do {
            while !isClosed, !isHeld, !turn.isOver, var message = try decoder.next() {
                frameEnded()
                if let sharedMemory { message = try sharedMemory.resolve(message, on: self) }
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
            return close(QiError(.invalid, "the peer sent something that is not qi: \(error.message)"))
        }
        guard !isClosed else { return }
        countFrame()
        if turn.isOver, !isHeld, decoder.hasUnsplitBytes { waitForTurn() }
    }

    /// Leaves the rest until others had their turn.
    private func waitForTurn() {
        isHeld = true
        setReading(false)
        bus.turns.append(self)
    }

    /// The channel has ended. What a peer that was let in has sent before is taken whole: it may have posted and gone.
    func takeRest() {
        guard isOpen, isHeld, !isClosed else { return }
        turn = BurstTurn(at: .now(), .rest)
        isHeld = false
        takeMessages()
    }

    /// The turn has come.
    func goOn() {
        guard !isClosed else { return }
        lastReceived = .now()
        beginTurn()
        takeWhatWasHeld()
        turnIsDue = true
    }
}
