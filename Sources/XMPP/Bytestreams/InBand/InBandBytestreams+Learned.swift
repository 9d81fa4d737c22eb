import Logging
import NIOCore

/// What is learned of the server, and what follows from it for blocks.
extension InBandBytestreams {
    /// Most bytes of payload in the next block of that bytestream: half of what may be under way, which drains in less than half a
    /// second, so that the next small thing does not wait for long; never more than the server takes.
    func payload(_ stream: InBandStream, _ driver: IBBDriver) -> Int {
        min(driver.blockSize, largestBlock(overhead: stream.overhead), max(limits.smallestBlock, ofHalf(overhead: stream.overhead)))
    }

    private func ofHalf(overhead: Int) -> Int { (budget.limit / 2 - overhead) / 4 * 3 }

    /// Most bytes of payload in any block: what was learned of the server, and what it says (XEP-0478), allow.
    func largestBlock(overhead: Int = InBandStream.usualOverhead) -> Int {
        let said = streamLimits.maxBytes.map { max(1, ($0 - overhead) / 4 * 3) } ?? .max
        return min(limits.blockSize, bound.block, said)
    }

    /// Bytes that a bytestream may keep before its turn: no more than one block on a slow path, or one that is not known yet. What waits
    /// there can be overtaken by nothing of the same bytestream.
    var room: Int {
        let block = budget.limit / (budget.bytesPerSecond == nil ? 4 : 3)
        let isSmall = budget.mayBeNarrow && block <= limits.blockSize
        return min(limits.sendBuffer, max(limits.smallestBlock, isSmall ? block : budget.limit / 2))
    }

    /// Whether that many bytes may be under way beside those that are.
    func allows(_ bytes: Int) -> Bool {
        budget.allows(bytes) && (budget.bytesUnderWay == 0 || budget.bytesUnderWay + bytes <= bound.budget)
    }

    /// A stanza with a block of that many bytes goes out.
    func note(_ payload: Int, at now: NIODeadline) {
        use.largestBlock = max(use.largestBlock, payload)
        use.mostUnderWay = max(use.mostUnderWay, budget.bytesUnderWay)
        if use.began == nil { use.began = now }
    }

    /// A connection begins, with what its server announced.
    func connected(_ announced: StreamLimits) { streamLimits = announced }

    /// The connection has ended, `streamError` in the server's words. To be told before the bytestreams are, while what was under way is
    /// known.
    func connectionEnded(_ streamError: String?) {
        guard budget.bytesUnderWay > 0 else { return }
        let smallest = limits.smallestBlock
        let least = SendingBound(block: smallest, budget: 2 * (Base64.encodedCount(smallest) + InBandStream.usualOverhead))
        guard bound.ended(streamError, after: use, least: least, at: clock()) else { return }
        logger.notice(
            "the server ended the connection while bytes of bytestreams were under way; smaller blocks from now on",
            metadata: [
                LogKeys.reason: "\(streamError ?? "no reason given")", LogKeys.blockSize: "\(bound.block)",
                LogKeys.budget: "\(bound.budget)",
            ])
        learned(bound)
    }

    /// What is known now. `waitingToOpen` is the sessions' to say.
    var status: InBandStatus {
        let now = clock()
        var status = InBandStatus()
        let overhead = InBandStream.usualOverhead
        let block = min(largestBlock(), max(limits.smallestBlock, ofHalf(overhead: overhead)))
        status.bytesUnderWay = budget.bytesUnderWay
        status.limit = min(budget.limit, bound.budget)
        status.blockSize = block
        status.streamLimits = streamLimits
        if let rate = budget.bytesPerSecond {
            status.bytesPerSecondUp = Int(rate * Double(block) / Double(Base64.encodedCount(block) + overhead))
        }
        status.bytesPerSecondDown = meter.bytesPerSecond.map { Int($0) }
        status.measured = budget.measuredAt.map { .now - (now - $0).duration }
        return status
    }
}
