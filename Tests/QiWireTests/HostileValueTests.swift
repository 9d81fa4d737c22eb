import NIOCore
import QiWire
import Testing

/// Bytes that no honest peer sends. Each has to fail quickly, without allocating what it announces.
@Suite struct HostileValueTests {
    @Test(arguments: [
        // A bool or flag that is neither 0 nor 1 (reference §7).
        ("b", "02", WireError.Code.value), ("b", "ff", .value), ("+i", "0201000000", .value), ("m", "010000006202", .value),
        // Counts and lengths beyond the bytes.
        ("[i]", "ffffffff", .truncated), ("[s]", "01000000f0ffffff", .truncated), ("s", "ffffffff61", .truncated),
        ("r", "01000000", .truncated), ("{is}", "ffffffff00", .truncated), ("[m]", "ffffffff00000000", .truncated),
        ("[[i]]", "02000000 00000000", .truncated), ("(id)", "00000000", .truncated), ("o", "00000000", .truncated),
        ("o", "ffffffff" + String(repeating: "00", count: 60), .limit),
        // Elements without bytes, by the billion.
        ("[v]", "ffffffff", .limit), ("[()]", "ffffffff", .limit), ("{vv}", "ffffffff", .limit), ("#_", "ffffffff", .limit),
        ("[((v)())]", "ffffff7f", .limit),
        // Dynamics without a type.
        ("m", "010000005a", .signature), ("m", "0100000058", .signature), ("m", "020000007e6900000000", .signature),
        ("m", "010000002a", .signature), ("m", "ffffffff", .truncated), ("X", "00", .signature), ("~i", "00000000", .signature),
    ])
    func values(_ signature: String, _ payload: String, _ code: WireError.Code) throws {
        let type = try Signature(signature).type
        var reading = bytes(payload)
        let before = reading
        let error = #expect(throws: WireError.self) { try reading.readQi(type) }
        #expect(error?.code == code)
        #expect(reading == before && reading.readerIndex == before.readerIndex)
    }

    @Test(arguments: [
        ("[i]", "ffffffff"), ("s", "ffffffff61"), ("+i", "02"), ("b", "02"), ("m", "010000005a"), ("m", "0100000058"),
        ("o", "0000"),
        ("{is}", "ffffffff"), ("(is)", "00000000ff000000"), ("X", ""),
    ])
    func skipping(_ signature: String, _ payload: String) throws {
        let type = try Signature(signature).type
        var skipping = bytes(payload)
        #expect(throws: WireError.self) { _ = try skipping.skipQi(type) }
        #expect(skipping.readerIndex == 0)
    }

    @Test func aListOfNothingIsSkippedAtOnce() throws {
        var skipping = bytes("ffffffff")
        #expect(try skipping.skipQi(.list(.tuple([.void, .tuple([])]))) == false)
        #expect(skipping.readableBytes == 0)
    }

    @Test(arguments: [10, 62, 64, 10_000])
    func dynamicsWithinDynamics(_ depth: Int) throws {
        var payload = ByteBuffer()
        for _ in 0..<depth { payload.writeQiString("m") }
        payload.writeQiString("i")
        payload.writeInteger(7, endianness: .little, as: Int32.self)
        if depth < 64 {
            var reading = payload
            guard case .dynamic(let dynamic) = try reading.readQi(.dynamic) else {
                Issue.record("no dynamic")
                return
            }
            #expect(dynamic.unwrapped() == QiDynamic(.int32(7)))
            #expect(QiValue.dynamic(dynamic).asInt == 7)
            #expect(try payload.skipQi(.dynamic) == false)
        } else {
            let error = #expect(throws: WireError.self) { try payload.readQi(.dynamic) }
            #expect(error?.code == .limit)
            #expect(throws: WireError.self) { _ = try payload.skipQi(.dynamic) }
        }
    }

    @Test func depthCountsContainersAndDynamicsTogether() throws {
        // Lists of one dynamic holding such a list: two levels each time.
        var payload = ByteBuffer()
        for _ in 0..<40 {
            payload.writeQiString("[m]")
            payload.writeInteger(1, endianness: .little, as: UInt32.self)
        }
        payload.writeQiString("v")
        let error = #expect(throws: WireError.self) { try payload.readQi(.dynamic) }
        #expect(error?.code == .limit)
    }

    @Test func aDynamicWithABombAsSignature() throws {
        for bomb in [
            String(repeating: "[", count: 5_000), String(repeating: "+", count: 70_000),
            "(i)<" + String(repeating: "<", count: 5_000),
        ] {
            var payload = ByteBuffer()
            payload.writeQiString(bomb)
            payload.writeRepeatingByte(0, count: 100)
            #expect(throws: WireError.self) { try payload.readQi(.dynamic) }
        }
    }

    @Test func wideTuplesOfNothingAreBounded() throws {
        // Each element is 60 000 members without bytes, so the count alone looks harmless.
        let wide = "(" + String(repeating: "v", count: 60_000) + "s)"
        var payload = ByteBuffer()
        payload.writeQiString("[\(wide)]")
        payload.writeInteger(50_000, endianness: .little, as: UInt32.self)
        payload.writeRepeatingByte(0, count: 200_000)
        let error = #expect(throws: WireError.self) { try payload.readQi(.dynamic) }
        #expect(error?.code == .limit)
        #expect(throws: WireError.self) { _ = try payload.skipQi(.dynamic) }
    }

    @Test func theNumberOfElementsIsBounded() throws {
        var payload = ByteBuffer()
        payload.writeInteger(1_000, endianness: .little, as: UInt32.self)
        payload.writeRepeatingByte(0, count: 1_000)
        let limits = CodingLimits(maximumElements: 1_001)
        let error = #expect(throws: WireError.self) { try payload.readQi(.list(.uint8), limits: limits) }
        #expect(error?.code == .limit)
        #expect(try payload.readQi(.list(.uint8), limits: CodingLimits(maximumElements: 1_002)).asList?.count == 1_000)
    }

    @Test func typedContainersCheckTheirCounts() throws {
        var buffer = bytes("ffffffff")
        #expect(throws: WireError.self) { try [Int32](reading: &buffer) }
        buffer = bytes("ffffffff")
        #expect(throws: WireError.self) { try [String: Int](reading: &buffer) }
        buffer = bytes("ffffffff")
        let error = #expect(throws: WireError.self) { try [QiVoid](reading: &buffer) }
        #expect(error?.code == .limit)
        buffer = bytes("02")
        #expect(throws: WireError.self) { try Bool(reading: &buffer) }
        buffer = bytes("02")
        #expect(throws: WireError.self) { try Int?(reading: &buffer) }
        buffer = bytes("00")
        #expect(throws: WireError.self) { try Int(reading: &buffer) }
    }

    @Test func bytesOfAllKindsNeverTrap() throws {
        // A small linear generator: the same bytes in every run.
        var state: UInt64 = 42
        func next() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        let types = try ["m", "[m]", "{sm}", "(+i[s]m)", "o", "[{I(bs)}]", MetaObject.signature.text].map {
            try Signature($0).type
        }
        let alphabet = Array("vbcCwWiIlLfdsrmo[](){}+#~X_<>".utf8)
        var read = 0
        for round in 0..<6_000 {
            var payload = ByteBuffer()
            let length = Int(next() % 8)
            payload.writeInteger(UInt32(length), endianness: .little)
            for _ in 0..<length { payload.writeInteger(alphabet[Int(next()) % alphabet.count]) }
            for _ in 0..<Int(next() % 40) { payload.writeInteger(next() % (round % 2 == 0 ? 4 : 255)) }
            let type = types[round % types.count]
            var reading = payload
            var skipping = payload
            if let value = try? reading.readQi(type) {
                read += 1
                _ = try skipping.skipQi(type)
                #expect(skipping.readerIndex == reading.readerIndex)
                var written = ByteBuffer()
                try written.writeQi(value, as: type)
                let expected = payload.getSlice(at: 0, length: reading.readerIndex)
                if type != .object && type != MetaObject.qiType { #expect(written == expected) }
            }
            var decoder = MessageDecoder(maximumPayload: 1_000)
            decoder.append(payload)
            _ = try? decoder.next()
        }
        #expect(read > 30, "some of the bytes have to mean something")
    }
}
