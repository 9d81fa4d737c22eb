/// What is learned of the server, and what follows from it for blocks.
extension InBandBytestreams {
    /// Most bytes of payload in the next block of that bytestream: half of what may be under way, which drains in about a third of a
    /// second, so that the next small thing does not wait for long.
    func payload(_ stream: InBandStream, _ driver: IBBDriver) -> Int {
        min(driver.blockSize, max(limits.smallestBlock, ofHalf(overhead: stream.overhead)))
    }

    private func ofHalf(overhead: Int) -> Int { (budget.limit / 2 - overhead) / 4 * 3 }

    /// Bytes that a bytestream may keep before its turn: no more than one block on a slow path. What waits there can be overtaken by nothing
    /// of the same bytestream.
    var room: Int { min(limits.sendBuffer, max(limits.smallestBlock, budget.limit / 2)) }
}
