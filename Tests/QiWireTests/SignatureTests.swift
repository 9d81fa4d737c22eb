import QiWire
import Testing

@Suite struct SignatureTests {
    @Test(arguments: [
        ("v", QiType.void), ("b", .bool), ("c", .int8), ("C", .uint8), ("w", .int16), ("W", .uint16), ("i", .int32),
        ("I", .uint32), ("l", .int64), ("L", .uint64), ("f", .float), ("d", .double), ("s", .string), ("r", .raw),
        ("m", .dynamic), ("o", .object), ("X", .unknown), ("_", .none), ("[i]", .list(.int32)),
        ("{sm}", .map(key: .string, value: .dynamic)), ("()", .tuple([])), ("(is)", .tuple([.int32, .string])),
        ("+i", .optional(.int32)), ("++i", .optional(.optional(.int32))), ("#m", .varargs(.dynamic)),
        ("~i", .keywordArguments(.int32)), ("[+(i[s])]", .list(.optional(.tuple([.int32, .list(.string)])))),
    ])
    func typesAndTheirText(_ text: String, _ type: QiType) throws {
        let signature = try Signature(text)
        #expect(signature.type == type)
        #expect(signature.text == text)
        #expect(type.signatureText == text)
        #expect(Signature(type) == signature)
        #expect(try Signature(bytes: Array(text.utf8)).text == text)
    }

    @Test(arguments: [
        ("(is)<Point,x,name>", "Point", ["x", "name"]), ("(is)<>", "", []), ("(is)<,a,b>", "", ["a", "b"]),
        ("()<Empty>", "Empty", []), ("(i)<std::pair<int,float>,first>", "std::pair<int,float>", ["first"]),
        ("(i)<A,f(x,y)[1,2]{3,4}>", "A", ["f(x,y)[1,2]{3,4}"]), ("(is)<P,only>", "P", ["only"]),
    ])
    func annotations(_ text: String, _ name: String, _ members: [String]) throws {
        let signature = try Signature(text)
        guard case .tuple(let tuple) = signature.type else {
            Issue.record("no tuple")
            return
        }
        #expect(tuple.name == name)
        #expect(tuple.memberNames == members)
        #expect(signature.text == text)
        #expect(signature.type.signatureText == text)
    }

    @Test func annotationsNeverCountInComparisons() throws {
        #expect(Signature("(is)<Point,x,name>") == Signature("(is)"))
        #expect(Signature("[(is)<A,a,b>]").hashValue == Signature("[(is)<B,c,d>]").hashValue)
        #expect(Signature("i<anything>") == Signature("i"))
        #expect(Signature("+(i)<A,a>") == Signature("+(i)"))
        #expect(Signature("i") != Signature("I"))
    }

    @Test(arguments: [
        "", "Z", "*", "ii", "[", "[]", "[i", "[ii]", "{i}", "{iii}", "{is", "(", "(i", "(i]", ")", "]", "+", "#", "~", "i ", " i",
        "(i)<", "(i)<a", "(i)<a]>", "(i)<(>", "(i)<[)>", "i>", "(i)<a\0b>", "[i]]", "é", "(i)<<a>", "<a>",
    ])
    func textsOutsideTheGrammar(_ text: String) {
        let error = #expect(throws: WireError.self) { try Signature(text) }
        #expect(error?.code == .signature)
    }

    @Test func nestingIsBounded() throws {
        for (open, close) in [("[", "]"), ("(", ")"), ("+", ""), ("#", ""), ("{i", "}")] {
            let deepest = String(repeating: open, count: 63) + "i" + String(repeating: close, count: 63)
            #expect(try Signature(deepest).text == deepest)
            for depth in [64, 10_000] {
                let bomb = String(repeating: open, count: depth) + "i" + String(repeating: close, count: depth)
                let error = #expect(throws: WireError.self) { try Signature(bomb) }
                #expect(error?.code == .limit)
            }
        }
        #expect(throws: WireError.self) { try Signature(String(repeating: "[", count: 60_000)) }
        #expect(throws: WireError.self) { try Signature("(i)" + String(repeating: "<", count: 60_000)) }
    }

    @Test func lengthIsBounded() throws {
        let longest = "(" + String(repeating: "i", count: Signature.maximumLength - 2) + ")"
        #expect(try Signature(longest).elements?.count == Signature.maximumLength - 2)
        let error = #expect(throws: WireError.self) { try Signature("(" + longest) }
        #expect(error?.code == .limit)
    }

    @Test func bytesHaveToBeText() {
        #expect(throws: WireError.self) { try Signature(bytes: [0x28, 0x69, 0x29, 0x3c, 0xff, 0x3e]) }
    }

    @Test(
        arguments: [
            ("v", 0, 0), ("()", 0, 0), ("i", 4, 4), ("(bid)", 13, 13), ("(is)", 8, nil), ("+i", 1, nil), ("[v]", 4, nil),
            ("m", 4, nil),
            ("((ii)(d))", 16, 16),
        ] as [(String, Int, Int?)])
    func sizes(_ text: String, _ minimum: Int, _ fixed: Int?) throws {
        let type = try Signature(text).type
        #expect(type.minimumSize == minimum)
        #expect(type.fixedSize == fixed)
    }

    @Test(arguments: [("i", false), ("o", true), ("m", true), ("[{s(im)}]", true), ("(is[d])", false), ("+o", true)])
    func whetherAnObjectMayBeInside(_ text: String, _ expected: Bool) throws {
        #expect(try Signature(text).type.mayHoldObject == expected)
    }

    @Test(
        arguments: [
            ("say", "say", nil, nil), ("say::(s)", "say", "(s)", nil), ("say::v(s)", "say", "(s)", "v"), ("f::m", "f", "m", nil),
            ("f::[i](is)<P,a,b>", "f", "(is)<P,a,b>", "[i]"),
        ] as [(String, String, String?, String?)])
    func methodNames(_ text: String, _ name: String, _ parameters: String?, _ returns: String?) throws {
        let parsed = try MethodName(text)
        #expect(parsed.name == name)
        #expect(parsed.parameters?.text == parameters)
        #expect(parsed.returns?.text == returns)
        #expect(parsed.description == text)
    }

    @Test(arguments: ["f::", "f::(", "f::iii", "f::Z"])
    func methodNamesOutsideTheGrammar(_ text: String) {
        #expect(throws: WireError.self) { try MethodName(text) }
    }
}
