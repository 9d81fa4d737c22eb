import NIOCore
import QiWire
import Testing

@Suite struct MessageDecoderTests {
    static let messages: [Message] = [
        Message(kind: .call, id: 1, address: .authenticate, payload: ByteBuffer(string: "capabilities")),
        Message(kind: .reply, id: 1, address: .authenticate),
        Message(
            kind: .event, id: 7, address: ActionAddress(service: 2, object: 1, action: 106), flags: .dynamicPayload,
            payload: ByteBuffer(repeating: 0x42, count: 40)),
        Message(kind: MessageKind(rawValue: 200), id: .max, address: ActionAddress(service: .max, object: .max, action: .max)),
    ]

    static var stream: ByteBuffer {
        var stream = ByteBuffer()
        for message in messages { stream.writeMessage(message) }
        return stream
    }

    /// Feeds pieces, draining after each.
    private func decode(_ pieces: [ByteBuffer], maximumPayload: Int = 50_000_000) throws -> [Message] {
        var decoder = MessageDecoder(maximumPayload: maximumPayload)
        var messages: [Message] = []
        for piece in pieces {
            decoder.append(piece)
            while let message = try decoder.next() { messages.append(message) }
        }
        #expect(!decoder.isWithinFrame)
        return messages
    }

    private func pieces(_ stream: ByteBuffer, cutAt cuts: [Int]) -> [ByteBuffer] {
        var rest = stream
        var taken = 0
        var pieces: [ByteBuffer] = []
        for cut in cuts + [stream.readableBytes] {
            guard let piece = rest.readSlice(length: cut - taken) else { continue }
            pieces.append(piece)
            taken = cut
        }
        return pieces
    }

    @Test func theHeaderHasTheLayoutOfTheReference() throws {
        var buffer = ByteBuffer()
        buffer.writeMessage(
            Message(
                kind: .call, id: 5, address: ActionAddress(service: 1, object: 1, action: 2), payload: bytes("00000000")))
        #expect(hex(buffer) == "42dead42050000000400000000000100010000000100000002000000" + "00000000")
    }

    @Test func aHeaderKeepsEveryField() throws {
        let header = MessageHeader(
            id: 1, payloadLength: 2, version: 3, kind: .post, flags: [.dynamicPayload, .returnType],
            address: ActionAddress(service: 4, object: 5, action: 6))
        var buffer = ByteBuffer()
        buffer.writeMessageHeader(header)
        #expect(buffer.readableBytes == MessageHeader.length)
        #expect(try buffer.readMessageHeader() == header)
        #expect(try buffer.readMessageHeader() == nil)
    }

    @Test func aStreamInOnePiece() throws {
        #expect(try decode([Self.stream]) == Self.messages)
    }

    @Test func aStreamCutAtEveryPlace() throws {
        for cut in 0...Self.stream.readableBytes {
            #expect(try decode(pieces(Self.stream, cutAt: [cut])) == Self.messages, "cut at \(cut)")
        }
    }

    @Test func aStreamCutAtEveryTwoPlaces() throws {
        var two = ByteBuffer()
        for message in Self.messages.prefix(2) { two.writeMessage(message) }
        for first in 0...two.readableBytes {
            for second in first...two.readableBytes {
                let messages = try decode(pieces(two, cutAt: [first, second]))
                #expect(messages == Array(Self.messages.prefix(2)), "cut at \(first) and \(second)")
            }
        }
    }

    @Test(arguments: [1, 2, 3, 27, 28, 29, 41])
    func aStreamDripping(_ size: Int) throws {
        let cuts = Array(stride(from: size, to: Self.stream.readableBytes, by: size))
        #expect(try decode(pieces(Self.stream, cutAt: cuts)) == Self.messages)
    }

    @Test(arguments: Vectors.conversations)
    func recordedStreams(_ name: String) throws {
        var streams: [String: ByteBuffer] = [:]
        var frames: [String: [String]] = [:]
        for frame in try Vectors.frames(name) {
            let key = "\(try #require(frame.connection)) \(try #require(frame.direction))"
            let text = try #require(frame.hex)
            streams[key, default: ByteBuffer()].writeImmutableBuffer(bytes(text))
            frames[key, default: []].append(text)
        }
        for (key, stream) in streams {
            let end = stream.readableBytes
            for size in [end, 1, 13, 28, 1000] {
                let messages = try decode(pieces(stream, cutAt: Array(stride(from: size, to: end, by: size))))
                #expect(messages.map(\.frameHex) == frames[key], "\(key) in pieces of \(size)")
            }
        }
    }

    @Test func severalAppendsBeforeDraining() throws {
        var decoder = MessageDecoder()
        for piece in pieces(Self.stream, cutAt: [10, 33, 60]) { decoder.append(piece) }
        var messages: [Message] = []
        while let message = try decoder.next() { messages.append(message) }
        #expect(messages == Self.messages)
    }

    @Test func aFrameThatSpansManyLargeBuffers() throws {
        var payload = ByteBuffer()
        for number in 0..<UInt64(400_000) { payload.writeInteger(number) }
        let big = Message(kind: .reply, id: 9, address: .authenticate, payload: payload)
        var stream = ByteBuffer()
        stream.writeMessage(big)
        stream.writeMessage(Self.messages[0])
        let cuts = Array(stride(from: 65_536, to: stream.readableBytes, by: 65_536))
        #expect(try decode(pieces(stream, cutAt: cuts)) == [big, Self.messages[0]])
    }

    @Test func messagesSurviveTheBufferTheyCameIn() throws {
        var decoder = MessageDecoder()
        var received = Self.stream
        decoder.append(received)
        let first = try #require(try decoder.next())
        received.clear()
        received.writeRepeatingByte(0, count: 200)
        #expect(first == Self.messages[0])
    }

    // MARK: Hostile streams

    @Test func aWrongMagicIsToldAsSoonAsItIsThere() throws {
        for garbage in ["42adde42", "47455420", "00000000" + String(repeating: "0", count: 48), "16030100"] {
            var decoder = MessageDecoder()
            decoder.append(bytes(garbage))
            #expect(throws: WireError.self) { try decoder.next() }
            // Byte by byte too.
            var dripped = MessageDecoder()
            #expect(throws: WireError.self) {
                for piece in pieces(bytes(garbage), cutAt: [1, 2, 3]) {
                    dripped.append(piece)
                    _ = try dripped.next()
                }
            }
        }
    }

    @Test func aWrongMagicHasTheFrameCode() throws {
        var decoder = MessageDecoder()
        decoder.append(bytes("42adde42 05000000 00000000 0000 01 00 01000000 01000000 65000000"))
        let error = #expect(throws: WireError.self) { try decoder.next() }
        #expect(error?.code == .frame)
    }

    @Test func payloadsUpToTheLimit() throws {
        for (limit, size, fits) in [(16, 16, true), (16, 17, false), (0, 0, true), (50_000_000, Int(UInt32.max), false)] {
            var decoder = MessageDecoder(maximumPayload: limit)
            var buffer = ByteBuffer()
            buffer.writeMessageHeader(
                MessageHeader(id: 1, payloadLength: UInt32(size), kind: .call, address: .authenticate))
            if fits { buffer.writeRepeatingByte(1, count: size) }
            decoder.append(buffer)
            if fits {
                #expect(try decoder.next()?.payload.readableBytes == size)
            } else {
                let error = #expect(throws: WireError.self) { try decoder.next() }
                #expect(error?.code == .limit)
            }
        }
    }

    @Test func anAnnouncedSizeAloneWaits() throws {
        var decoder = MessageDecoder()
        var buffer = ByteBuffer()
        buffer.writeMessageHeader(
            MessageHeader(id: 1, payloadLength: 49_000_000, kind: .call, address: .authenticate))
        decoder.append(buffer)
        #expect(try decoder.next() == nil)
        #expect(decoder.isWithinFrame)
    }
}
