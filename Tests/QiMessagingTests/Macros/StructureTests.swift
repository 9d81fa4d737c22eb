import QiMessaging
import Testing

/// What `@QiStruct` generates, at work.
@Suite struct StructureTests {
    @QiStruct struct Path: Equatable {
        var points: [Point]
        var closed: Bool?
        private(set) var tags: [String: Int32] = [:]
    }

    @QiStruct struct Pair<First: QiConvertible, Second: QiConvertible> {
        var first: First
        var second: Second
    }

    private let point = Point(x: 1.5, y: -2, name: "here")

    @Test func theTypeIsANamedTuple() {
        #expect(Point.qiSignature.text == "(dds)<Point,x,y,name>")
        #expect(Path.qiSignature.text == "([(dds)<Point,x,y,name>]+b{si})<Path,points,closed,tags>")
        #expect(Pair<Int8, String>.qiSignature.text == "(cs)<Pair,first,second>")
    }

    @Test func bytesAreTheMembersInOrder() throws {
        var bytes = ByteBuffer()
        try point.write(to: &bytes)
        var expected = ByteBuffer()
        try expected.writeQi(.tuple([.double(1.5), .double(-2), .string("here")]), as: Point.qiType)
        #expect(bytes == expected)
        #expect(try Point(reading: &bytes) == point)
        #expect(bytes.readableBytes == 0)
    }

    @Test func nestedStructures() throws {
        let path = Path(points: [point, point], closed: nil)
        var bytes = ByteBuffer()
        try path.write(to: &bytes)
        #expect(try Path(reading: &bytes) == path)
        #expect(try Path(qiValue: path.qiValue) == path)
    }

    @Test func tooFewBytesAreRefused() throws {
        var bytes = ByteBuffer()
        try point.write(to: &bytes)
        var half = bytes.readSlice(length: 12) ?? ByteBuffer()
        #expect(throws: WireError.self) { _ = try Point(reading: &half) }
    }

    @Test(arguments: [
        // By position, numbers converted.
        .tuple([.int32(1), .float(2), .string("a")]),
        // A map by its keys, in any order.
        .map([
            QiMapEntry(key: .string("name"), value: .dynamic(.string("a"))), QiMapEntry(key: .string("y"), value: .dynamic(.int8(2))),
            QiMapEntry(key: .string("x"), value: .dynamic(.double(1))),
        ]),
        .dynamic(.tuple([.double(1), .double(2), .string("a")])),
        // Another structure with the same members.
        .dynamic(QiDynamic(signature: "(ffs)<Other,x,y,name>", value: .tuple([.float(1), .float(2), .string("a")]))),
    ] as [QiValue])
    func conversion(_ value: QiValue) throws {
        #expect(try Point(qiValue: value) == Point(x: 1, y: 2, name: "a"))
    }

    @Test(arguments: [
        .tuple([.double(1), .double(2)]),
        .tuple([.double(1), .string("2"), .string("a")]),
        .dynamic(QiDynamic(signature: "(dds)<Other,a,b,c>", value: .tuple([.double(1), .double(2), .string("a")]))),
        .string("point"),
    ] as [QiValue])
    func refusedConversion(_ value: QiValue) {
        let error = #expect(throws: WireError.self) { try Point(qiValue: value) }
        #expect(error?.code == .conversion)
    }

    @Test func aMapThatLacksAMemberIsRefused() {
        let value = QiValue.map([QiMapEntry(key: .string("x"), value: .double(1))])
        let error = #expect(throws: WireError.self) { try Point(qiValue: value) }
        #expect(error?.code == .conversion && error?.message.contains("y") == true)
    }
}
