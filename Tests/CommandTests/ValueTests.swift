import Foundation
import NIOCore
import QiMesh
import QiWire
import Testing

@testable import QiMeshCLI

@Suite("Values of the bus as JSON, and back")
struct ValueTests {
    @Test(
        "typed JSON becomes the natural value",
        arguments: [
            ("null", .void), ("true", .bool(true)), ("7", .int64(7)), ("18446744073709551615", .uint64(.max)),
            ("7.0", .double(7)),
            ("\"a\"", .string("a")), ("[1,\"a\"]", .list([.int64(1), .string("a")])),
            ("{\"k\":[]}", .map([QiMapEntry(key: .string("k"), value: .list([]))])),
        ] as [(String, QiValue)])
    func toValue(_ text: String, _ expected: QiValue) throws {
        #expect(QiValue(try JSONParser.parse(text)) == expected)
    }

    @Test(
        "and converts to what methods declare",
        arguments: [
            ("[1,2]", "(ii)", "[1,2]"), ("{\"x\":1,\"y\":2}", "(dd)<Point,x,y>", "{\"x\":1.0,\"y\":2.0}"),
            ("[[7,[\"a\"]]]", "{i[s]}", "[[7,[\"a\"]]]"), ("null", "+i", "null"), ("3", "+i", "3"), ("[]", "[i]", "[]"),
            ("[1,\"x\",null]", "[m]", "[1,\"x\",null]"), ("{}", "{sm}", "{}"), ("0.1", "f", "0.1"),
        ])
    func converts(_ text: String, _ signature: String, _ expected: String) throws {
        let type = try Signature(signature).type
        let value = QiValue(try JSONParser.parse(text))
        #expect(JSONValue(try value.converted(from: value.inferredType, to: type), as: type).text == expected)
    }

    @Test(
        "to JSON",
        arguments: [
            (.void, "m", "null"), (.int8(-1), "c", "-1"), (.uint64(.max), "L", "18446744073709551615"), (.float(0.1), "f", "0.1"),
            (.double(.nan), "d", "\"NaN\""), (.double(-.infinity), "d", "\"-Infinity\""),
            (.float(.infinity), "f", "\"Infinity\""),
            (.string(QiString(bytes: [0x61, 0xFF])), "s", "\"a\u{FFFD}\""), (.raw(ByteBuffer(bytes: [0, 255])), "r", "\"AP8=\""),
            (.tuple([.int32(1), .string("b")]), "(is)", "[1,\"b\"]"),
            (.tuple([.int32(1), .string("b")]), "(is)<P,n,t>", "{\"n\":1,\"t\":\"b\"}"),
            (.tuple([.int32(1), .string("b")]), "(is)<P,n>", "[1,\"b\"]"),
            (.tuple([.int32(1), .int32(2)]), "(ii)<P,n,n>", "[1,2]"),
            (.list([.tuple([.int32(1)])]), "[(i)<P,n>]", "[{\"n\":1}]"),
            (.map([QiMapEntry(key: .int32(7), value: .tuple([.int32(1)]))]), "{i(i)<P,n>}", "[[7,{\"n\":1}]]"),
            (.optional(nil), "+i", "null"), (.optional(.tuple([.int32(1)])), "+(i)<P,n>", "{\"n\":1}"),
            (.dynamic(QiDynamic(signature: "(i)<P,n>", value: .tuple([.int32(1)]))), "m", "{\"n\":1}"),
            (.object(.null), "o", "null"),
        ] as [(QiValue, String, String)])
    func toJSON(_ value: QiValue, _ signature: String, _ expected: String) throws {
        #expect(JSONValue(value, as: try Signature(signature).type).text == expected)
    }

    @Test("equal keys of a map are not lost")
    func doubleKeys() {
        let key = QiValue.string("k")
        let value = QiValue.map([QiMapEntry(key: key, value: .int32(1)), QiMapEntry(key: key, value: .int32(2))])
        #expect(JSONValue(value).text == "[[\"k\",1],[\"k\",2]]")
    }

    @Test("an object says where it is and what it can")
    func object() {
        let meta = MetaObject(methods: [MetaMethod(uid: 100, returnSignature: "i", name: "add", parametersSignature: "(i)")])
        let value = QiValue.object(ObjectReference(metaObject: meta, serviceID: 2, objectID: 3))
        #expect(JSONValue(value).text == "{\"object\":{\"service\":2,\"id\":3,\"methods\":[\"add::(i)\"]}}")
    }
}

@Suite("Arguments of calls")
struct CallArgumentTests {
    private func value(_ text: String, files: [String: Data] = [:]) throws(CommandFailure) -> QiValue {
        try argument(text, files: files).value
    }

    private func argument(_ text: String, files: [String: Data] = [:]) throws(CommandFailure) -> CallArgument {
        try CallArgument(text) { (path) throws(CommandFailure) in
            guard let data = files[path] else { throw .usage("\(path) cannot be read") }
            return data
        }
    }

    @Test(
        "numbers in the spellings that JSON does not have",
        arguments: [
            ("+5", .int64(5)), ("0x1F", .int64(31)), ("-0x10", .int64(-16)), ("0b101", .int64(5)), ("0o17", .int64(15)), (".5", .double(0.5)),
            ("5.", .double(5)), ("-.5", .double(-0.5)), ("+.5e3", .double(500)), ("0xFFFFFFFFFFFFFFFF", .uint64(.max)), ("1e3", .double(1_000)),
            // What is as often a name stays one where nothing decides.
            ("1_000", .string("1_000")), ("007", .string("007")), ("NaN", .string("NaN")), ("-inf", .string("-inf")), ("1e400", .string("1e400")),
            ("0x", .string("0x")), ("1__0", .string("1__0")), ("+-5", .string("+-5")), ("1.2.3", .string("1.2.3")), ("e5", .string("e5")),
            ("0x1.8p1", .string("0x1.8p1")), ("١", .string("١")),
        ] as [(String, QiValue)])
    func spellings(_ text: String, _ expected: QiValue) throws { #expect(try value(text) == expected) }

    @Test(
        "the declared type decides between a number and a text",
        arguments: [
            ("1_000", "i", .string("1000")), ("007", "d", .string("7.0")), ("NaN", "d", .string("NaN")), ("-inf", "f", nil),
            ("-inf", "d", .string("-Infinity")), ("0x1F", "s", .string("0x1F")), ("5", "s", .string("5")), ("true", "s", .string("true")),
            ("abc", "d", nil), ("abc", "i", nil), ("1.2.3", "d", nil), ("300", "C", nil), ("\"5\"", "i", nil), ("5", "m", .string("5")),
            ("[1]", "d", nil), ("", "d", nil),
        ] as [(String, String, JSONValue?)])
    func fitting(_ text: String, _ signature: String, _ expected: JSONValue?) throws {
        let type = try Signature(signature).type
        let fitting = try argument(text).fitting(type).map { try $0.converted(from: $0.inferredType, to: type) }
        let shown: JSONValue? = fitting.map { value in
            let json = JSONValue(value, as: type)
            return if case .string = json { json } else { .string(json.text) }
        }
        #expect(shown == expected)
    }

    @Test("a file is read as an editor left it")
    func editedFiles() throws {
        let files = ["mark.json": Data([0xEF, 0xBB, 0xBF]) + Data("[1,\r\n2]\r\n\r\n".utf8), "wide.json": Data([0xFF, 0xFE, 0x31, 0])]
        #expect(try value("@mark.json", files: files) == .list([.int64(1), .int64(2)]))
        let failure = #expect(throws: CommandFailure.self) { try value("@wide.json", files: files) }
        #expect(failure?.message == "wide.json is UTF-16")
    }

    @Test(
        arguments: [
            ("hello", .string("hello")), ("\"5\"", .string("5")), ("5", .int64(5)), (" -5", .int64(-5)), ("", .string("")),
            ("truth", .string("truth")), ("1.2.3", .string("1.2.3")), ("@", .string("@")),
            ("{\"a\":1}", .map([QiMapEntry(key: .string("a"), value: .int64(1))])),
        ] as [(String, QiValue)])
    func words(_ text: String, _ expected: QiValue) throws {
        #expect(try value(text) == expected)
    }

    @Test("what begins like JSON and is none is not taken for a word", arguments: ["[1", "{\"a\":}", "\"open", "[1,2]x"])
    func brokenJSON(_ text: String) {
        let failure = #expect(throws: CommandFailure.self) { try value(text) }
        #expect(failure?.code == .usage)
    }

    @Test func files() throws {
        let files = ["a.json": Data("[1]".utf8), "a.bin": Data([0, 0xFF]), "bad": Data("oops".utf8)]
        #expect(try value("@a.json", files: files) == .list([.int64(1)]))
        #expect(try value("@raw:a.bin", files: files) == .raw(ByteBuffer(bytes: [0, 0xFF])))
        #expect(throws: CommandFailure.self) { try value("@bad", files: files) }
        #expect(throws: CommandFailure.self) { try value("@a.bin", files: files) }
        #expect(throws: CommandFailure.self) { try value("@missing", files: files) }
    }

    @Test func realFile() throws {
        let path = NSTemporaryDirectory() + "/qimesh-argument-\(UUID().uuidString)"
        try Data("{\"a\":true}".utf8).write(to: URL(fileURLWithPath: path))
        defer { _ = unlink(path) }
        #expect(try CallArgument("@" + path).value == .map([QiMapEntry(key: .string("a"), value: .bool(true))]))
        let failure = #expect(throws: CommandFailure.self) { try CallArgument("@\(path)-not") }
        #expect(failure?.code == .usage)
        #expect(failure?.message.contains("there is no file") == true)
        let folder = #expect(throws: CommandFailure.self) { try CallArgument("@/") }
        #expect(folder?.message == "/ cannot be read: Is a directory")
    }
}
