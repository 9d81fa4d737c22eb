import NIOCore
import QiWire
import Testing

@Suite struct ValueTests {
    // MARK: Strings

    @Test func stringsAreBytes() throws {
        let text: QiString = "é"
        #expect(text.text == "é" && text.bytes == [0xc3, 0xa9] && text.count == 2)
        #expect(text != QiString("e\u{301}"), "equal to Unicode, not to the wire")
        #expect(QiString(bytes: [0xc3, 0xa9]) == text)
        #expect(QiString(bytes: [0xc3, 0xa9]).hashValue == text.hashValue)
        let broken = QiString(bytes: [0x41, 0xff, 0x00])
        #expect(broken.text == nil && broken.lossyText == "A\u{fffd}\0" && broken.bytes == [0x41, 0xff, 0x00] && !broken.isEmpty)
        #expect(broken != QiString(broken.lossyText))
        #expect(broken == QiString(bytes: [0x41, 0xff, 0x00]))
        for string in [text, broken, "", "with\0nul"] {
            var buffer = ByteBuffer()
            buffer.writeQiString(string)
            #expect(buffer.readableBytes == 4 + string.count)
            #expect(string.byteBuffer == ByteBuffer(bytes: string.bytes))
            #expect(try buffer.readQiString() == string)
        }
    }

    @Test func rawBytesShareTheMessage() throws {
        var buffer = ByteBuffer()
        buffer.writeQiRaw(ByteBuffer(repeating: 7, count: 1_000))
        #expect(try buffer.readQiRaw() == ByteBuffer(repeating: 7, count: 1_000))
        #expect(throws: WireError.self) { try buffer.readQiRaw() }
        #expect(throws: WireError.self) { try buffer.readQiString() }
        #expect(throws: WireError.self) { try buffer.readQiUInt32() }
    }

    // MARK: Dynamics

    @Test(arguments: [
        (QiValue.void, "v"), (.bool(true), "b"), (.int8(1), "c"), (.uint64(1), "L"), (.float(1), "f"), (.string("a"), "s"),
        (.raw(ByteBuffer()), "r"), (.list([]), "[m]"), (.list([.int32(1), .int32(2)]), "[i]"),
        (.list([.int32(1), .string("a")]), "[m]"),
        (.map([]), "{mm}"), (.map([QiMapEntry(key: .string("a"), value: .int32(1))]), "{si}"),
        (.tuple([.int32(1), .list([])]), "(i[m])"),
        (.optional(.int32(1)), "+i"), (.optional(nil), "+m"), (.object(.null), "o"),
        (.list([.list([]), .list([.int32(1)])]), "[m]"),
    ])
    func naturalSignatures(_ value: QiValue, _ signature: String) {
        #expect(QiDynamic(value).signature.text == signature)
        #expect(value.inferredType.signatureText == signature)
    }

    @Test func everyNaturalSignatureCanBeWritten() throws {
        // Mixed members become dynamics of their own.
        let mixed = QiValue.list([.int32(1), .string("a"), .list([])])
        let type = mixed.inferredType
        var buffer = ByteBuffer()
        try buffer.writeQi(.dynamic(mixed), as: .dynamic)
        guard case .dynamic(let dynamic) = try buffer.readQi(.dynamic) else {
            Issue.record("no dynamic")
            return
        }
        #expect(dynamic.signature == Signature(type))
        #expect(dynamic.value.asList?.map(\.unwrapped) == [.int32(1), .string("a"), .list([])])
    }

    @Test func dynamicsDoNotNestByThemselves() {
        let inner = QiDynamic(.int32(1))
        #expect(QiDynamic(.dynamic(inner)) == inner)
        #expect(QiDynamic(signature: "m", value: .dynamic(inner)).unwrapped() == inner)
        #expect(QiDynamic(signature: .empty, value: .void).isEmpty && !QiDynamic(.void).isEmpty)
    }

    @Test func looseAccess() {
        let wrapped = QiValue.dynamic(QiDynamic(signature: "m", value: .dynamic(.optional(.int16(-3)))))
        #expect(wrapped.asInt == -3 && wrapped.asDouble == -3 && wrapped.asUInt32 == nil && wrapped.asString == nil)
        #expect(
            QiValue.uint64(.max).asInt == nil && QiValue.uint64(7).asUInt32 == 7
                && QiValue.uint64(.max).asDouble == 18_446_744_073_709_551_616)
        #expect(QiValue.bool(true).asBool == true && QiValue.bool(true).asInt == nil && QiValue.float(1.5).asDouble == 1.5)
        #expect(QiValue.string("a").asString == "a" && QiValue.string(QiString(bytes: [0xff])).asString == nil)
        #expect(QiValue.string("a").asQiString == "a" && QiValue.raw(ByteBuffer()).asRaw == ByteBuffer())
        #expect(
            QiValue.list([.void]).asList == [.void] && QiValue.tuple([.void]).asTuple == [.void] && QiValue.map([]).asMap == [])
        #expect(
            QiValue.object(.null).asObject == .null && QiValue.dynamic(.void).isVoid && QiValue.optional(nil).isVoid
                && !QiValue.bool(false).isVoid)
        for value in [QiValue.void, .int8(1)] {
            #expect(
                value.asList == nil && value.asTuple == nil && value.asMap == nil && value.asRaw == nil && value.asObject == nil
                    && value.asBool == nil)
            #expect(value.asQiString == nil)
        }
    }

    // MARK: Writing

    @Test(arguments: [
        (QiValue.int32(1), QiType.int64), (.string("a"), .raw), (.list([.int32(1), .string("")]), .list(.int32)),
        (.tuple([]), .tuple([.int32])),
        (.void, .int32), (.int32(1), .optional(.int32)), (.int32(1), .tuple([.int32])),
        (.dynamic(QiDynamic(signature: "s", value: .int32(1))), .dynamic),
        (.map([QiMapEntry(key: .int32(1), value: .void)]), .map(key: .int32, value: .bool)),
    ])
    func aValueOfAnotherShapeIsRefused(_ value: QiValue, _ type: QiType) {
        var buffer = ByteBuffer(string: "before")
        let error = #expect(throws: WireError.self) { try buffer.writeQi(value, as: type) }
        #expect(error?.code == .value)
        #expect(buffer == ByteBuffer(string: "before"), "a failed write leaves nothing")
    }

    @Test func typesWithoutWireForm() {
        for type in [QiType.unknown, .keywordArguments(.int32)] {
            var buffer = ByteBuffer()
            let error = #expect(throws: WireError.self) { try buffer.writeQi(.void, as: type) }
            #expect(error?.code == .signature)
        }
    }

    // MARK: Objects

    @Test func objectReferences() throws {
        let uid = try #require(ObjectUID(bytes: Array(0..<20)))
        #expect(uid.bytes == Array(0..<20) && uid.description == "000102030405060708090a0b0c0d0e0f10111213")
        #expect(ObjectUID(bytes: Array(0..<19)) == nil && ObjectUID(bytes: Array(0..<21)) == nil)
        let reference = ObjectReference(metaObject: .generic, serviceID: 2, objectID: 3, uid: uid)
        #expect(reference.address == ObjectAddress(service: 2, object: 3) && !reference.isNull && ObjectReference.null.isNull)

        var without = reference
        without.uid = nil
        var cached = reference
        cached.metaObject = nil
        cached.cacheID = 4
        var first = reference
        first.cacheID = 4
        let rows: [(ObjectReference, ObjectCoding, ObjectReference)] = [
            (reference, .standard, reference), (reference, .plain, without), (.null, .standard, .null),
            (cached, ObjectCoding(sharesObjectUID: true, sharesMetaObjectCache: true), cached),
            (first, ObjectCoding(sharesObjectUID: true, sharesMetaObjectCache: true), first),
            (reference, ObjectCoding(sharesObjectUID: true, sharesMetaObjectCache: true), reference),
            (ObjectReference(metaObject: nil, serviceID: 0, objectID: 0), .standard, .null),
        ]
        for (written, coding, read) in rows {
            var buffer = ByteBuffer()
            try buffer.writeQi(.object(written), as: .object, objects: coding)
            var skipping = buffer
            #expect(try skipping.skipQi(.object, objects: coding) && skipping.readableBytes == 0)
            #expect(try buffer.readQi(.object, objects: coding) == .object(read))
            #expect(buffer.readableBytes == 0)
        }
        // What the coding needs and the reference lacks.
        let bare = ObjectReference(metaObject: nil, serviceID: 2, objectID: 3)
        for (reference, coding) in [
            (without, ObjectCoding.standard), (cached, .standard),
            (bare, ObjectCoding(sharesObjectUID: false, sharesMetaObjectCache: true)),
        ] {
            var buffer = ByteBuffer()
            let error = #expect(throws: WireError.self) { try buffer.writeQi(.object(reference), as: .object, objects: coding) }
            #expect(error?.code == .value && buffer.readableBytes == 0)
        }
    }

    // MARK: Static types

    private func roundTrip<Value: QiConvertible & Equatable>(_ value: Value, _ signature: String) throws {
        #expect(Value.qiSignature.text == signature)
        var buffer = ByteBuffer()
        try value.write(to: &buffer)
        // The static and the dynamic codec write the same bytes.
        var dynamic = ByteBuffer()
        try dynamic.writeQi(value.qiValue, as: Value.qiType)
        #expect(buffer == dynamic)
        #expect(try Value(reading: &buffer) == value)
        #expect(buffer.readableBytes == 0)
        #expect(try Value(qiValue: value.qiValue) == value)
    }

    @Test func staticTypes() throws {
        try roundTrip(true, "b")
        try roundTrip(Int8.min, "c")
        try roundTrip(UInt8.max, "C")
        try roundTrip(Int16.min, "w")
        try roundTrip(UInt16.max, "W")
        try roundTrip(Int32.min, "i")
        try roundTrip(UInt32.max, "I")
        try roundTrip(Int64.min, "l")
        try roundTrip(UInt64.max, "L")
        try roundTrip(Int.min, "l")
        try roundTrip(UInt.max, "L")
        try roundTrip(Float(1.5), "f")
        try roundTrip(-Double.infinity, "d")
        try roundTrip("日本", "s")
        try roundTrip(QiString(bytes: [0xff]), "s")
        try roundTrip(ByteBuffer(string: "raw"), "r")
        try roundTrip([["a"], []], "[[s]]")
        try roundTrip([Int8.min, -1, 0, .max], "[c]")
        try roundTrip([UInt8.min, .max], "[C]")
        try roundTrip([Int16.min, -2, .max], "[w]")
        try roundTrip([UInt16.max, 0x1234], "[W]")
        try roundTrip([Int32.min, -3, .max], "[i]")
        try roundTrip([UInt32.max, 0x1234_5678], "[I]")
        try roundTrip([Int64.min, -4, .max], "[l]")
        try roundTrip([UInt64.max, 0x0123_4567_89ab_cdef], "[L]")
        try roundTrip([Int.min, .max], "[l]")
        try roundTrip([UInt.max, 1], "[L]")
        try roundTrip([Float(-0.0), .pi, .infinity], "[f]")
        try roundTrip([Double.pi, -.greatestFiniteMagnitude], "[d]")
        try roundTrip([Int32](), "[i]")
        try roundTrip([true, false], "[b]")
        try roundTrip([Int32(1): "one"], "{is}")
        try roundTrip(Double?.none, "+d")
        try roundTrip(Double?.some(2), "+d")
        try roundTrip(QiVoid(), "v")
        try roundTrip(QiDynamic(.list([.int32(1)])), "m")
        try roundTrip(ObjectReference.null, "o")
        try roundTrip(MetaObject.generic, MetaObject.signature.text)
    }

    @Test func listsOfNumbersWithinAMessage() throws {
        // Neither at the beginning of the storage nor at its end, and in a slice.
        var message = ByteBuffer(string: "head")
        try [Int32(1), -2].write(to: &message)
        message.writeString("tail")
        message.moveReaderIndex(forwardBy: 4)
        var slice = message.slice()
        #expect(try [Int32](reading: &message) == [1, -2] && message == ByteBuffer(string: "tail"))
        #expect(try [Int32](reading: &slice) == [1, -2] && slice == ByteBuffer(string: "tail"))
        var short = bytes("02000000 01000000 ffff")
        #expect(throws: WireError.self) { try [Int32](reading: &short) }
    }

    @Test func aStringThatIsNoTextIsRefusedByString() throws {
        var buffer = ByteBuffer()
        buffer.writeQiString(QiString(bytes: [0xff]))
        let error = #expect(throws: WireError.self) { try String(reading: &buffer) }
        #expect(error?.code == .value)
    }

    // MARK: Arguments

    @Test func argumentsLieOneAfterTheOther() throws {
        var buffer = ByteBuffer()
        try buffer.writeQiArguments([.int32(1), .string("a")], as: "(is)")
        #expect(hex(buffer) == "010000000100000061")
        let arguments = try buffer.readQiArguments("(is)")
        #expect(arguments.values == [.int32(1), .string("a")] && arguments.types == [.int32, .string])
        #expect(arguments.tupleType.signatureText == "(is)")
        #expect(throws: WireError.self) { try buffer.writeQiArguments([.int32(1)], as: "(is)") }
    }

    @Test func variadicArgumentsAreOneDynamic() throws {
        var buffer = ByteBuffer()
        try buffer.writeQiArguments([.dynamic(.int32(3)), .string("a")], as: "m")
        #expect(try buffer.readQiArguments("m").values == [.dynamic(.int32(3)), .string("a")])
        for (payload, count) in [
            ("02000000 2829", 0), ("03000000 5b695d 02000000 0300000004000000", 2),
            ("04000000 7b69697d 01000000 0300000004000000", 1),
        ] {
            var buffer = bytes(payload)
            #expect(try buffer.readQiArguments("m").values.count == count)
        }
        var wrong = bytes("01000000 69 03000000")
        let error = #expect(throws: WireError.self) { try wrong.readQiArguments("m") }
        #expect(error?.message.hasPrefix("Expected tuple, list or map") == true)
    }

    @Test(
        arguments: [
            (MessageFlags([]), "07000000", nil), (.dynamicPayload, "03000000 286c29 0700000000000000", nil),
            (.returnType, "07000000 01000000 64", "d"),
            ([.dynamicPayload, .returnType], "03000000 286c29 0700000000000000 01000000 64", "d"),
            (MessageFlags(rawValue: 0x80), "07000000", nil),
        ] as [(MessageFlags, String, String?)])
    func flagsChangeThePayload(_ flags: MessageFlags, _ payload: String, _ returns: String?) throws {
        var buffer = bytes(payload)
        let (arguments, returnType) = try buffer.readQiArguments("(i)", flags: flags)
        #expect(try arguments.converted(to: "(i)") == [.int32(7)])
        #expect(returnType?.text == returns)
        #expect(buffer.readableBytes == 0)
    }

    @Test func argumentsThatDoNotFit() throws {
        let two = QiArguments(values: [.int32(1), .int32(2)], types: [.int32, .int32])
        #expect(throws: WireError.self) { try two.converted(to: "(i)") }
        #expect(throws: WireError.self) { try two.converted(to: "(is)") }
        #expect(try two.converted(to: "m") == two.values)
        var buffer = bytes("07000000 01000000 5a")
        #expect(throws: WireError.self) { try buffer.readQiArguments("(i)", flags: .returnType) }
        #expect(buffer.readerIndex == 0)
    }

    @Test func returnsMayBeDynamic() throws {
        var plain = bytes("05000000")
        #expect(try plain.readQiReturn("i", flags: []) == .int32(5))
        var dynamic = bytes("01000000 64 0000000000001440")
        #expect(try dynamic.readQiReturn("i", flags: .dynamicPayload) == .int32(5))
        var text = bytes("01000000 73 00000000")
        #expect(throws: WireError.self) { try text.readQiReturn("i", flags: .dynamicPayload) }
    }

    // MARK: Errors

    @Test(arguments: [
        ("01000000 73 02000000 6e6f", "no"), ("01000000 6d 01000000 73 02000000 6e6f", "no"),
        ("01000000 73 01000000 ff", "\u{fffd}"),
        ("01000000 69 05000000", "Type mismatch"), ("02000000 6e6f", "Invalid signature"), ("", "could not be read"),
    ])
    func errorPayloads(_ payload: String, _ text: String) {
        var buffer = bytes(payload)
        #expect(buffer.readErrorPayload().contains(text))
    }

    @Test func anErrorPayloadIsADynamicString() {
        var buffer = ByteBuffer()
        buffer.writeErrorPayload("no")
        #expect(hex(buffer) == "0100000073" + "02000000" + "6e6f")
        #expect(WireError(.limit, "too big").description == "limit: too big")
    }

    // MARK: Messages

    @Test func namesForPeople() {
        #expect(
            (0...9).map { MessageKind(rawValue: $0).description }.joined(separator: " ")
                == "None Call Reply Error Post Event Capability Cancel Canceled Unknown(9)")
        #expect(!MessageKind(rawValue: 9).isKnown && MessageKind.canceled.isKnown)
        #expect(ActionAddress.authenticate.description == "0.0.8" && ObjectAddress.serviceDirectory.description == "1.1")
        #expect(ActionAddress(.main(ofService: 5), action: 100).target == ObjectAddress(service: 5, object: 1))
    }

    @Test func theLengthFollowsThePayload() {
        var message = Message(kind: .call, id: 1, address: .authenticate)
        message.payload = ByteBuffer(string: "four")
        #expect(message.header.payloadLength == 4)
        let answer = message.answer(.error, flags: .dynamicPayload)
        #expect(
            answer.id == 1 && answer.address == .authenticate && answer.kind == .error && answer.flags == .dynamicPayload
                && answer.header.payloadLength == 0)
    }
}
