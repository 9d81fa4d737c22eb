import NIOCore
import QiWire
import Testing

/// What a value takes in memory is paid for by the bytes it came in: whatever the bytes are.
@Suite struct ValueCostTests {
    /// Bytes of memory that one byte of a message may become, and what every value may take beside.
    static let perByte = 64
    static let free = 1024

    /// What a value takes, by the layout of Swift's enums and arrays. Storage that is shared by all empty values costs nothing.
    static func memory(_ value: QiValue) -> Int {
        let slot = MemoryLayout<QiValue>.stride
        let array = 32
        func box(_ size: Int) -> Int { 16 + size }
        switch value {
        case .string(let text): return text.isEmpty ? 0 : box(MemoryLayout<QiString>.stride) + (text.count > 15 ? 32 + text.count : 0)
        case .raw(let raw): return raw.readableBytes == 0 ? 0 : box(MemoryLayout<ByteBuffer>.stride) + raw.readableBytes
        case .list(let values), .tuple(let values):
            return values.isEmpty ? 0 : values.reduce(array + slot * values.count) { $0 + memory($1) }
        case .map(let entries):
            return entries.isEmpty ? 0 : entries.reduce(array + 2 * slot * entries.count) { $0 + memory($1.key) + memory($1.value) }
        case .optional(let content): return content.map { box(slot + 1) + memory($0) } ?? 0
        case .dynamic(let dynamic):
            let text = dynamic.signature.text.utf8.count
            return box(MemoryLayout<QiDynamic>.stride) + (text > 1 ? 32 + text : 0) + memory(dynamic.value)
        case .object: return box(MemoryLayout<ObjectReference>.stride)
        default: return 0
        }
    }

    /// A dynamic with that signature whose payload begins with a count, and is padded.
    static func payload(_ signature: String, count: UInt32, padding: Int) -> ByteBuffer {
        var payload = ByteBuffer()
        payload.writeQiString(signature)
        payload.writeInteger(count, endianness: .little)
        payload.writeRepeatingByte(0, count: padding)
        return payload
    }

    static let nested = String(repeating: "(", count: 40) + String(repeating: ")", count: 40)
    static let hostile = [
        "[v]", "[()]", "[\(nested)]", "[(\(String(repeating: "v", count: 40)))]", "[+v]", "[+++++C]", "[(C)]", "[((C))]",
        "[\(String(repeating: "(", count: 40))C\(String(repeating: ")", count: 40))]", "[m]", "[s]", "[r]", "[[v]]", "[{vv}]", "{vv}",
        "{C()}", "{Cm}", "[(\(String(repeating: "v", count: 30))C)]", "[(+C)]", "[#()]",
    ]

    @Test(arguments: hostile, [128, 65_536])
    func aHostileValueTakesSoMuchPerByteAtMost(_ signature: String, _ length: Int) throws {
        for part in [1, 2, 4, 8, 32, 128] {
            let padding = max(0, length - signature.utf8.count - 8)
            for count in [UInt32(padding / part), 60_000, 4_000_000] {
                var payload = Self.payload(signature, count: count, padding: padding)
                let size = payload.readableBytes
                guard let value = try? payload.readQi(.dynamic) else { continue }
                #expect(Self.memory(value) <= Self.perByte * size + Self.free, "\(signature) × \(count) in \(size) bytes")
            }
        }
    }

    /// The bytes after a value pay for others: a list of values that are read one by one is no cheaper for its length.
    @Test func everyValueIsPaidForByItsOwnBytes() throws {
        var payload = ByteBuffer()
        let one = Self.payload("[\(Self.nested)]", count: 1000, padding: 0)
        for _ in 0..<1000 { payload.writeImmutableBuffer(one) }
        #expect(throws: WireError.self) { try QiValue(reading: &payload) }
        var list = ByteBuffer()
        list.writeInteger(1000, endianness: .little, as: UInt32.self)
        for _ in 0..<1000 { list.writeImmutableBuffer(Self.payload("[v]", count: 60, padding: 0)) }
        let size = list.readableBytes
        let values = try [QiValue](reading: &list)
        #expect(values.reduce(0) { $0 + Self.memory($1) } < 2 * Self.perByte * size)
    }

    @Test(arguments: [
        ("[C]", 1_000_000, 1), ("[(C)]", 1_000_000, 1), ("[(ff)]", 125_000, 8), ("[(fff)<P,x,y,z>]", 400_000, 12), ("{IC}", 200_000, 5),
        ("[+C]", 500_000, 1), ("[s]", 250_000, 4), ("[[C]]", 250_000, 4), ("[v]", 40, 0), ("[((v))]", 8, 0),
        ("(\(String(repeating: "v", count: 100)))", 0, 0), ("[{s[m]}]", 1000, 4),
    ])
    func whatProgramsSendIsRead(_ signature: String, _ count: Int, _ size: Int) throws {
        var payload = Self.payload(signature, count: UInt32(count), padding: count * size)
        if signature.hasPrefix("(") { payload.moveWriterIndex(to: payload.writerIndex - 4) }
        guard case .dynamic(let dynamic) = try payload.readQi(.dynamic) else { return }
        #expect(payload.readableBytes == 0)
        #expect(dynamic.value.asList?.count ?? dynamic.value.asMap?.count ?? count == count)
    }

    /// Half of a message that is made of nothing but dynamics, each with a type of its own.
    @Test func dynamicsWithTypesOfTheirOwnAreRead() throws {
        var payload = ByteBuffer()
        payload.writeInteger(2000, endianness: .little, as: UInt32.self)
        for index in 0..<2000 {
            payload.writeQiString("(ss)<Robot,name,n\(index)>")
            payload.writeQiString("pepper")
            payload.writeQiString("")
        }
        #expect(try payload.readQi(.list(.dynamic)).asList?.count == 2000)
    }

    @Test func aFewRawBytesDoNotKeepALongMessage() throws {
        var payload = ByteBuffer()
        payload.writeQiRaw(ByteBuffer(bytes: [1, 2, 3]))
        payload.writeRepeatingByte(0, count: 1 << 20)
        guard case .raw(let few) = try payload.readQi(.raw) else { return }
        #expect(few.storageCapacity < 1024 && few.readableBytesView.elementsEqual([1, 2, 3]))
        var long = ByteBuffer()
        long.writeQiRaw(ByteBuffer(repeating: 7, count: 1 << 20))
        guard case .raw(let shared) = try long.readQi(.raw) else { return }
        #expect(shared.storageCapacity == long.storageCapacity, "most of a message is not copied")
    }

    @Test func emptyElementsOfTypedListsAreBounded() throws {
        var inner = ByteBuffer()
        inner.writeInteger(60_000, endianness: .little, as: UInt32.self)
        #expect(throws: WireError.self) { try [QiVoid](reading: &inner) }
    }

    @Test func manyDynamicsOfOneLongTypeAreRefused() throws {
        let wide = QiType.list(.tuple(Array(repeating: .void, count: 60_000)))
        let elements = Array(repeating: QiValue.list([]), count: 5_000)
        let error = #expect(throws: WireError.self) { try QiValue.list(elements).converted(from: .list(wide), to: .list(.dynamic)) }
        #expect(error?.code == .limit)
        let short = try QiValue.list(elements).converted(from: .list(.list(.int32)), to: .list(.dynamic))
        #expect(short.asList?.count == 5_000)
    }

    // MARK: - Frames

    @Test func aFrameReservesNoMoreThanFourTimesWhatCame() throws {
        var decoder = MessageDecoder()
        var buffer = ByteBuffer()
        buffer.writeMessageHeader(MessageHeader(id: 1, payloadLength: 40_000_000, kind: .call, address: .authenticate))
        buffer.writeRepeatingByte(1, count: 1000)
        decoder.append(buffer)
        #expect(try decoder.next() == nil)
        #expect(decoder.heldBytes == 1028 && decoder.heldCapacity <= 8 * 1028, "\(decoder.heldCapacity) bytes for \(decoder.heldBytes)")
    }

    @Test(arguments: [1, 7, 28, 100, 4096])
    func aFrameBeyondWhatIsKeptIsToldOfWithoutItsPayload(_ piece: Int) throws {
        var decoder = MessageDecoder(maximumPayload: 2000)
        decoder.maximumKept = 500
        var stream = ByteBuffer()
        for (id, size) in [(UInt32(1), 400), (2, 1000), (3, 501), (4, 0), (5, 500)] {
            let payload = ByteBuffer(repeating: UInt8(id), count: size)
            stream.writeMessage(Message(kind: .call, id: id, address: .authenticate, payload: payload))
        }
        var seen: [String] = []
        while let part = stream.readSlice(length: min(piece, stream.readableBytes)), part.readableBytes > 0 {
            decoder.append(part)
            while let message = try decoder.next() {
                seen.append("\(message.id) \(message.payload.readableBytes) \(message.isCut)")
                #expect(decoder.heldBytes == 0)
            }
            #expect(decoder.heldBytes <= 528)
        }
        #expect(seen == ["1 400 false", "2 0 true", "3 0 true", "4 0 false", "5 500 false"])
        #expect(!decoder.isWithinFrame)
    }

    @Test func aHeldFrameCanBeDropped() throws {
        var decoder = MessageDecoder()
        decoder.dropHeldFrame()
        var stream = ByteBuffer()
        stream.writeMessage(Message(kind: .call, id: 1, address: .authenticate, payload: ByteBuffer(repeating: 1, count: 1000)))
        stream.writeMessage(Message(kind: .call, id: 2, address: .authenticate))
        let first = stream.readSlice(length: 600)
        decoder.append(try #require(first))
        var message = try decoder.next()
        #expect(message == nil && decoder.heldBytes == 600)
        decoder.dropHeldFrame()
        #expect(decoder.heldBytes == 0 && decoder.isWithinFrame)
        decoder.append(stream)
        message = try decoder.next()
        #expect(message?.id == 1 && message?.isCut == true)
        #expect(try decoder.next()?.id == 2)
        #expect(!decoder.isWithinFrame)
    }
}
