import NIOCore
import QiWire

/// A stream cut anywhere gives the messages, or the error, of the same stream in one piece.
///
/// Input: how it is cut, one byte; the largest payload, one byte; the stream.
enum DecoderFuzz {
    private struct Outcome: Equatable {
        var messages: [Message] = []
        var error: WireError.Code?
        var isWithinFrame = false
    }

    static func run(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let cut = Int(input.byte())
        let limit = 1 << (Int(input.byte()) % 18)
        let stream = input.remaining()
        let whole = outcome(of: stream, limit: limit) { stream.readableBytes }
        var state = UInt32(cut) | 1
        let pieces = outcome(of: stream, limit: limit) {
            state = state &* 1_664_525 &+ 1_013_904_223
            return cut < 8 ? cut + 1 : Int(state >> 24) % cut + 1
        }
        try FuzzFinding.expect(whole == pieces, "cut by \(cut): \(pieces) instead of \(whole)")
        var frames = ByteBuffer()
        for message in whole.messages {
            try FuzzFinding.expect(message.payload.readableBytes <= limit, "a payload above the limit: \(message.header)")
            frames.writeMessage(message)
        }
        let same = stream.getSlice(at: stream.readerIndex, length: frames.readableBytes)
        try FuzzFinding.expect(same == frames, "the messages are not the bytes they were read from")
    }

    private static func outcome(of stream: ByteBuffer, limit: Int, next: () -> Int) -> Outcome {
        var stream = stream
        var decoder = MessageDecoder(maximumPayload: limit)
        var outcome = Outcome()
        do throws(WireError) {
            while let piece = stream.readSlice(length: min(next(), stream.readableBytes)), piece.readableBytes > 0 {
                decoder.append(piece)
                while let message = try decoder.next() { outcome.messages.append(message) }
            }
            outcome.isWithinFrame = decoder.isWithinFrame
        } catch {
            outcome.error = error.code
        }
        return outcome
    }
}
