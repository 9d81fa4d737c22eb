import NIOCore
import QiWire
import Testing

/// The table of reference §22.
@Suite struct ConversionTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var from: Signature
        var value: QiValue
        var to: Signature
        /// Nil when the conversion has to fail.
        var result: QiValue?

        init(_ from: Signature, _ value: QiValue, _ to: Signature, _ result: QiValue?) {
            self.from = from
            self.value = value
            self.to = to
            self.result = result
        }

        var testDescription: String { "\(from) \(value) → \(to)" }
    }

    private static func check(_ row: Row) throws {
        if let result = row.result {
            #expect(try row.value.converted(from: row.from.type, to: row.to.type) == result)
            // A converted value can be written as what it was converted to.
            var buffer = ByteBuffer()
            try buffer.writeQi(result, as: row.to.type)
            #expect(try buffer.readQi(row.to.type) == result)
        } else {
            let error = #expect(throws: WireError.self) { try row.value.converted(from: row.from.type, to: row.to.type) }
            #expect(error?.code == .conversion)
        }
    }

    @Test(arguments: [
        Row("i", .int32(5), "l", .int64(5)), Row("l", .int64(1 << 40), "i", nil), Row("i", .int32(-1), "I", nil),
        Row("i", .int32(-1), "L", nil), Row("l", .int64(255), "C", .uint8(255)), Row("l", .int64(256), "C", nil),
        Row("l", .int64(-128), "c", .int8(-128)), Row("l", .int64(-129), "c", nil), Row("L", .uint64(.max), "l", nil),
        Row("L", .uint64(.max), "L", .uint64(.max)), Row("l", .int64(40_000), "w", nil),
        Row("l", .int64(40_000), "W", .uint16(40_000)),
        Row("i", .int32(1), "b", .bool(true)), Row("i", .int32(0), "b", .bool(false)), Row("i", .int32(2), "b", nil),
        Row("b", .bool(true), "i", .int32(1)), Row("b", .bool(true), "d", .double(1)),
        Row("d", .double(1.7), "i", .int32(1)), Row("d", .double(-1.7), "i", .int32(-1)),
        Row("d", .double(-0.5), "I", .uint32(0)),
        Row("d", .double(3e9), "i", nil), Row("d", .double(.nan), "i", nil), Row("d", .double(.infinity), "L", nil),
        Row("d", .double(0.995), "b", .bool(true)), Row("d", .double(0.005), "b", .bool(false)), Row("d", .double(0.5), "b", nil),
        Row("d", .double(-0.995), "b", nil),
        Row("i", .int32(3), "d", .double(3)), Row("l", .int64(16_777_217), "f", .float(16_777_216)),
        Row("L", .uint64(.max), "d", .double(18_446_744_073_709_551_616)),
        Row("d", .double(0.1), "f", .float(0.1)), Row("d", .double(1e300), "f", nil), Row("d", .double(.infinity), "f", nil),
        Row("f", .float(1.5), "d", .double(1.5)), Row("f", .float(.infinity), "f", .float(.infinity)),
        Row("s", .string("1"), "i", nil), Row("i", .int32(1), "s", nil), Row("d", .double(1), "s", nil),
        Row("v", .void, "i", nil), Row("i", .int32(1), "v", .void), Row("v", .void, "v", .void),
    ])
    func scalars(_ row: Row) throws { try Self.check(row) }

    @Test(arguments: [
        Row("s", .string("ab"), "r", .raw(ByteBuffer(string: "ab"))),
        Row("s", .string(QiString(bytes: [0xff])), "r", .raw(ByteBuffer(bytes: [0xff]))),
        Row("r", .raw(ByteBuffer(string: "ab")), "s", nil), Row("r", .raw(ByteBuffer()), "r", .raw(ByteBuffer())),
        Row("[i]", .list([.int32(1), .int32(2)]), "[d]", .list([.double(1), .double(2)])),
        Row("[l]", .list([.int64(1), .int64(1 << 40)]), "[i]", nil), Row("[i]", .list([]), "[s]", .list([])),
        Row("[m]", .list([.dynamic(.int64(1)), .dynamic(.double(2))]), "[i]", .list([.int32(1), .int32(2)])),
        Row("#i", .list([.int32(1)]), "[l]", .list([.int64(1)])), Row("[i]", .list([.int32(1)]), "#l", .list([.int64(1)])),
        Row(
            "{si}", .map([QiMapEntry(key: .string("a"), value: .int32(1))]), "{sd}",
            .map([QiMapEntry(key: .string("a"), value: .double(1))])),
        Row("{si}", .map([QiMapEntry(key: .string("a"), value: .int32(1))]), "{ii}", nil),
        Row("{si}", .map([]), "[i]", nil), Row("[i]", .list([.int32(1)]), "{si}", nil),
        Row("[i]", .list([.int32(1), .int32(2)]), "(id)", .tuple([.int32(1), .double(2)])),
        Row("[i]", .list([.int32(1)]), "(id)", nil), Row("(ii)", .tuple([.int32(1), .int32(2)]), "[i]", nil),
        Row(
            "[(si)]", .list([.tuple([.string("a"), .int32(1)])]), "{sl}",
            .map([QiMapEntry(key: .string("a"), value: .int64(1))])),
        Row("(ii)", .tuple([.int32(1), .int32(2)]), "(ld)", .tuple([.int64(1), .double(2)])),
        Row("(ii)", .tuple([.int32(1), .int32(2)]), "(i)", nil),
        Row("o", .object(.null), "i", nil), Row("o", .object(.null), "o", .object(.null)), Row("i", .int32(0), "o", nil),
    ])
    func containers(_ row: Row) throws { try Self.check(row) }

    @Test(arguments: [
        // Equally many members correspond by place, unless both are named otherwise.
        Row("(is)<P,x,y>", .tuple([.int32(1), .string("a")]), "(is)<Q,y,x>", .tuple([.int32(1), .string("a")])),
        Row("(is)<P,x,y>", .tuple([.int32(1), .string("a")]), "(ds)", .tuple([.double(1), .string("a")])),
        Row("(is)<P,x,y>", .tuple([.int32(1), .string("a")]), "(is)<P,x,z>", nil),
        Row("(isd)<P,x,y,z>", .tuple([.int32(1), .string("a"), .double(2)]), "(is)<P,x,y>", nil),
        Row("(is)<P,x,y>", .tuple([.int32(1), .string("a")]), "(isd)<P,x,y,z>", nil),
        Row(
            "{sm}",
            .map([
                QiMapEntry(key: .string("y"), value: .dynamic(.string("a"))),
                QiMapEntry(key: .string("x"), value: .dynamic(.int64(1))),
            ]),
            "(is)<P,x,y>", .tuple([.int32(1), .string("a")])),
        Row("{si}", .map([QiMapEntry(key: .string("x"), value: .int32(1))]), "(ii)<P,x,y>", nil),
        Row("{si}", .map([QiMapEntry(key: .string("x"), value: .int32(1))]), "(i)", nil),
        Row("{ii}", .map([QiMapEntry(key: .int32(0), value: .int32(1))]), "(i)<P,x>", nil),
        Row(
            "(ii)<P,x,y>", .tuple([.int32(1), .int32(2)]), "{sl}",
            .map([QiMapEntry(key: .string("x"), value: .int64(1)), QiMapEntry(key: .string("y"), value: .int64(2))])),
        Row("(ii)", .tuple([.int32(1), .int32(2)]), "{sl}", nil),
    ])
    func structures(_ row: Row) throws { try Self.check(row) }

    @Test(arguments: [
        Row("i", .int32(1), "m", .dynamic(.int32(1))),
        Row("[i]", .list([]), "m", .dynamic(QiDynamic(signature: "[i]", value: .list([])))),
        Row("m", .dynamic(.int32(1)), "m", .dynamic(.int32(1))), Row("m", .dynamic(.int64(3)), "i", .int32(3)),
        Row("m", .dynamic(QiDynamic(signature: "m", value: .dynamic(.int64(3)))), "i", .int32(3)),
        Row("m", .dynamic(.string("x")), "i", nil),
        Row("m", .dynamic(QiDynamic(signature: .empty, value: .void)), "i", nil), Row("m", .dynamic(.void), "+i", .optional(nil)),
        Row("i", .int32(1), "+l", .optional(.int64(1))), Row("v", .void, "+i", .optional(nil)),
        Row("+i", .optional(nil), "+s", .optional(nil)),
        Row("+i", .optional(.int32(1)), "+d", .optional(.double(1))), Row("s", .string("x"), "+i", nil),
        Row("+i", .optional(.int32(1)), "i", nil),
        Row("+i", .optional(nil), "i", nil),
        Row("+i", .optional(.int32(1)), "m", .dynamic(QiDynamic(signature: "+i", value: .optional(.int32(1))))),
        Row("m", .dynamic(QiDynamic(signature: "+i", value: .optional(.int32(1)))), "d", .double(1)),
        Row("m", .dynamic(.object(.null)), "o", .object(.null)),
    ])
    func dynamicsAndOptionals(_ row: Row) throws { try Self.check(row) }

    @Test func olderServiceInfosConvertBothWays() throws {
        let info = ServiceInfo(
            name: "X", serviceID: 2, machineID: "m", processID: 3, endpoints: ["tcp://1.2.3.4:5"], sessionID: "s",
            objectUID: [0xff, 0])
        let older = try info.qiValue.converted(from: ServiceInfo.qiType, to: ServiceInfo.olderSignature.type)
        #expect(older.asTuple?.count == 6)
        let newer = try older.converted(from: ServiceInfo.olderSignature.type, to: ServiceInfo.qiType)
        var expected = info
        expected.objectUID = []
        #expect(try ServiceInfo(qiValue: newer) == expected)
        #expect(try ServiceInfo(qiValue: older) == expected)
    }

    @Test func annotationsOfTheSourceSurviveInADynamic() throws {
        let signature: Signature = "[(is)<Point,x,name>]"
        let value = QiValue.list([.tuple([.int32(1), .string("a")])])
        guard case .dynamic(let dynamic) = try value.converted(from: signature.type, to: .dynamic) else {
            Issue.record("no dynamic")
            return
        }
        #expect(dynamic.signature.text == signature.text)
    }

    @Test func typedConversions() throws {
        #expect(try Int8(qiValue: .dynamic(.int64(-5))) == -5)
        #expect(try UInt(qiValue: .uint64(.max)) == .max)
        #expect(try Bool(qiValue: .int32(1)))
        #expect(try Float(qiValue: .double(0.5)) == 0.5)
        #expect(try Double(qiValue: .int8(3)) == 3)
        #expect(try String(qiValue: .dynamic(.string("x"))) == "x")
        #expect(try ByteBuffer(qiValue: .string("x")) == ByteBuffer(string: "x"))
        #expect(try [Int](qiValue: .dynamic(.list([.dynamic(.int32(1)), .double(2.5)]))) == [1, 2])
        #expect(
            try [String: Int](qiValue: .map([QiMapEntry(key: .dynamic(.string("a")), value: .dynamic(.int64(1)))])) == ["a": 1])
        #expect(try [String: Int](qiValue: .list([.tuple([.string("a"), .int64(1)])])) == ["a": 1])
        #expect(try Int?(qiValue: .void) == nil)
        #expect(try Int?(qiValue: .dynamic(.void)) == nil)
        #expect(try Int?(qiValue: .optional(.int8(4))) == 4)
        #expect(try Int?(qiValue: .int8(4)) == 4)
        #expect(try QiValue(qiValue: .int8(4)) == .int8(4))
        #expect(
            try QiValue.list([.int32(1)]).converted(from: .list(.dynamic), to: .list(.dynamic)) == .list([.dynamic(.int32(1))]))
        #expect(try QiDynamic(qiValue: .int8(4)) == QiDynamic(.int8(4)))
        #expect(try ObjectReference(qiValue: .dynamic(.object(.null))) == .null)
        #expect(try MetaObject(qiValue: .dynamic(MetaObject.generic.qiValue)) == .generic)
        for failing: () throws -> Any in [
            { try Int(qiValue: .string("1")) }, { try Int8(qiValue: .int64(128)) }, { try String(qiValue: .int8(1)) },
            { try String(qiValue: .string(QiString(bytes: [0xff]))) }, { try [Int](qiValue: .int8(1)) },
            { try [Int](qiValue: .list([.void])) },
            { try [String: Int](qiValue: .list([.int8(1)])) }, { try Bool(qiValue: .int8(2)) },
            { try Int(qiValue: .optional(.int8(1))) },
            { try ObjectReference(qiValue: .int8(1)) }, { try ServiceInfo(qiValue: .int8(1)) },
            { try MetaObject(qiValue: .int8(1)) },
            { try ByteBuffer(qiValue: .int8(1)) },
        ] {
            #expect(throws: WireError.self) { _ = try failing() }
        }
    }
}
