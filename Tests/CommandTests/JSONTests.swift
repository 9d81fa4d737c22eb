import Testing

@testable import QiMeshCLI

@Suite("JSON")
struct JSONTests {
    @Test(
        "reads",
        arguments: [
            ("null", .null), ("true", .bool(true)), (" false\n", .bool(false)), ("0", .integer(0)), ("-0", .integer(0)),
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .unsigned(1 << 63)), ("18446744073709551615", .unsigned(.max)),
            ("18446744073709551616", .number(18_446_744_073_709_551_616)), ("1.0", .number(1)), ("1e3", .number(1_000)),
            ("-1.5E-2", .number(-0.015)), ("\"\"", ""), ("\"a\\n\\\"\\u00e9\\/\"", "a\n\"é/"), ("\"\\ud83d\\ude00\"", "😀"),
            ("\"\u{7f}é\"", "\u{7f}é"), ("[]", .array([])), ("[1, [2] ]", .array([.integer(1), .array([.integer(2)])])),
            ("{}", .object([])), ("{\"b\":1,\"a\":null}", .object([("b", .integer(1)), ("a", .null)])),
        ] as [(String, JSONValue)])
    func reads(_ text: String, _ expected: JSONValue) throws {
        #expect(try JSONParser.parse(text) == expected)
    }

    @Test(
        "refuses",
        arguments: [
            "", " ", "nul", "nulll", "hello", "01", "-", "+1", "1.", ".5", "1e", "1 2", "[", "[1", "[1,]", "[,]", "{", "{\"a\"}",
            "{\"a\":}", "{a:1}", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "\"", "\"\n\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
            "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\\u+123\"", "1e999", "'a'", "NaN", "[1]]",
        ])
    func refuses(_ text: String) {
        #expect(throws: JSONParser.Failure.self) { try JSONParser.parse(text) }
    }

    @Test("depth is bounded")
    func depth() throws {
        func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        _ = try JSONParser.parse(nested(JSONParser.depthLimit))
        #expect(throws: JSONParser.Failure.self) { try JSONParser.parse(nested(JSONParser.depthLimit + 2)) }
        #expect(throws: JSONParser.Failure.self) { try JSONParser.parse(nested(1_000_000)) }
    }

    @Test(
        "writes on one line, and reads its own writing",
        arguments: [
            (.null, "null"), (.bool(true), "true"), (.integer(-5), "-5"), (.unsigned(.max), "18446744073709551615"),
            (.number(0.1), "0.1"), (.number(1e300), "1e+300"), (.number(3), "3.0"),
            ("é\n\t\"\\\u{1b}\u{9b}\u{2028}", "\"é\\n\\t\\\"\\\\\\u001b\\u009b\\u2028\""),
            (.array([.integer(1), "a"]), "[1,\"a\"]"), (.object([("b", .array([])), ("a", .object([]))]), "{\"b\":[],\"a\":{}}"),
        ] as [(JSONValue, String)])
    func writes(_ value: JSONValue, _ expected: String) throws {
        #expect(value.text == expected)
        #expect(try JSONParser.parse(expected) == value)
    }

    @Test("members in front replace those of the same name")
    func adding() {
        let value = JSONValue.object([("a", .integer(1)), ("ok", .null)]).adding([("ok", .bool(true))])
        #expect(value.text == "{\"ok\":true,\"a\":1}")
        #expect(value["a"] == .integer(1) && value["b"] == nil)
    }
}
