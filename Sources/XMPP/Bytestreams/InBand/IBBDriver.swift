import NIOCore

/// Runs one in-band bytestream: its state machine on the stanza thread and the link to its channel. Confined to the stanza
/// thread.
final class IBBDriver {
    var machine: IBBStateMachine
    let link: BytestreamLink
    /// Most bytes in a block, in both directions.
    let blockSize: Int
    private let allocator = ByteBufferAllocator()

    init(blockSize: Int, link: BytestreamLink, limits: BytestreamLimits) {
        self.blockSize = blockSize
        self.link = link
        machine = IBBStateMachine(
            window: OutboundWindow(initial: limits.initialWindow, maximum: limits.maximumWindow),
            receiveWindow: limits.receiveWindow)
    }

    /// A block came; it goes to the channel unless the result says otherwise.
    func received(id: String, sequence: UInt16?, base64: UnsafeRawBufferPointer) -> IBBStateMachine.OnData {
        let block = decoded(base64)
        let result = machine.received(id: id, sequence: sequence, isIntact: block != nil)
        if result == .deliver, let block { link.arrived(block) }
        return result
    }

    private func decoded(_ base64: UnsafeRawBufferPointer) -> ByteBuffer? {
        // Before anything is allocated: a block holds at most what was negotiated (XEP-0047 §2.2).
        guard base64.count <= Base64.encodedCount(blockSize) else { return nil }
        var block = allocator.buffer(capacity: Base64.longestDecodedCount(base64.count))
        var isIntact = true
        block.writeWithUnsafeMutableBytes(minimumWritableBytes: Base64.longestDecodedCount(base64.count)) { target in
            guard let count = Base64.decode(base64, into: target), count <= blockSize else {
                isIntact = false
                return 0
            }
            return count
        }
        return isIntact ? block : nil
    }
}
