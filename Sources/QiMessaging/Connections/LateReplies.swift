import QiWire

/// Calls that were given up and whose reply, should it still come, somebody has to look at: an object in it would live at its owner
/// as long as the connection.
struct LateReplies {
    /// More are not waited for: a peer that never answers must not fill our memory.
    private static let most = 1024
    private var expected: [UInt32: (address: ActionAddress, handler: LateReply)] = [:]

    mutating func expect(_ id: UInt32, _ address: ActionAddress, _ handler: @escaping LateReply) {
        guard expected.count < Self.most else { return }
        expected[id] = (address, handler)
    }

    /// An answer to no call that is outstanding.
    mutating func received(_ message: Message) {
        guard let known = expected[message.id], known.address == message.address else { return }
        expected[message.id] = nil
        if message.kind == .reply { known.handler(message.payload, message.flags) }
    }
}
