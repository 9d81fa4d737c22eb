import NIOCore
import QiWire

@testable import QiMessaging

/// One side of a device stream whose peer does whatever it likes, on path after path: what is kept stays bounded, and nothing traps.
///
/// Input: the bounds in two bytes, then frames as they travel, in pieces (a byte of length before each); a piece without a byte is a new
/// path, on which the peer claims what the next two bytes say.
enum StreamFuzz {
    static func run(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        var limits = StreamStateMachine.Limits()
        limits.receiving.window = 1000 + Int(input.byte()) * 16
        limits.receiving.message = 4000 + Int(input.byte()) * 16
        limits.receiving.unfinished = 8
        limits.receiving.unfinishedBytes = 2000
        var now = NIODeadline.uptimeNanoseconds(1)
        var machine = StreamStateMachine(limits, longest: limits.receiving.message, at: now)
        try machine.attached(peer: (0, 2000), first: 0, at: now)
        var unread = ByteBuffer()
        do throws(StreamFault) {
            while !input.isEmpty {
                now = now + .milliseconds(100)
                let piece = input.shortBytes(limit: 255)
                if piece.isEmpty {
                    unread.clear()
                    machine.detached(at: now)
                    try machine.attached(peer: (UInt64(input.byte()), Int(UInt32.max)), first: UInt64(input.byte()), at: now)
                    _ = machine.append(message(input.byte()))
                    continue
                }
                unread.writeBytes(piece)
                while let frame = try StreamFrameCoding.read(from: &unread) { try machine.received(frame, at: now) }
                _ = machine.tick(at: now)
                if piece.count & 1 == 0 { while machine.popReady() != nil {} }
                var written = ByteBuffer()
                machine.write(to: &written, piece: 100, most: 1000, at: now)
            }
        } catch {
            // The rules are broken, and the stream is over.
        }
        try check(machine, limits, unread)
    }

    private static func message(_ id: UInt8) -> StreamMessage {
        let header = MessageHeader(
            id: UInt32(id), payloadLength: UInt32(id) * 8, kind: .reply, address: ActionAddress(service: 2, object: 1, action: 100))
        var frame = ByteBuffer()
        frame.writeMessage(header, payload: ByteBuffer(repeating: id, count: Int(id) * 8))
        return StreamMessage(header, StreamBytes(frame))
    }

    private static func check(_ machine: StreamStateMachine, _ limits: StreamStateMachine.Limits, _ unread: ByteBuffer) throws {
        let receiving = limits.receiving
        let most = receiving.message + receiving.unfinishedBytes + receiving.window + 2 * StreamFrameCoding.maximumBody
        try FuzzFinding.expect(machine.receiver.heldBytes <= most, "\(machine.receiver.heldBytes) bytes are held, \(most) are the most")
        try FuzzFinding.expect(unread.readableBytes <= StreamFrameCoding.maximumBody + 256, "a frame that is too long is gathered")
        try FuzzFinding.expect(machine.receiver.taken <= machine.receiver.received, "more was taken than came")
        try FuzzFinding.expect(machine.sender.confirmed <= machine.sender.numbered, "more is confirmed than was sent")
    }
}
