import QiWire
import Testing

/// The table of reference §21, and the scores behind it.
@Suite struct OverloadResolutionTests {
    enum Outcome: Sendable {
        case chosen(String)
        case fails(String)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var overloads: [Signature]
        var arguments: [QiValue]
        var outcome: Outcome

        init(_ overloads: [Signature], _ arguments: [QiValue], _ outcome: Outcome) {
            self.overloads = overloads
            self.arguments = arguments
            self.outcome = outcome
        }

        var testDescription: String { "\(overloads) \(arguments)" }
    }

    private static func metaObject(_ overloads: [Signature]) -> MetaObject {
        var builder = MetaObjectBuilder()
        for overload in overloads { builder.addMethod("f", parameters: overload) }
        builder.addMethod("g", parameters: "(i)")
        return builder.build()
    }

    private static func python(_ value: QiValue) -> QiValue { .dynamic(value) }
    private static let ambiguous = Outcome.fails("Ambiguous overload for f")
    private static let mismatch = Outcome.fails("Arguments types did not match for f")

    @Test(arguments: [
        Row(["(i)", "(d)"], [python(.int64(1))], .chosen("(i)")), Row(["(i)", "(d)"], [python(.double(1.5))], .chosen("(d)")),
        Row(["(i)", "(d)"], [python(.bool(true))], .chosen("(i)")), Row(["(c)", "(i)"], [python(.int64(1))], ambiguous),
        Row(["(f)", "(d)"], [python(.double(1.5))], ambiguous), Row(["(b)", "(i)"], [python(.bool(true))], ambiguous),
        Row(["(b)", "(i)"], [python(.int64(5))], .chosen("(i)")), Row(["(m)", "(s)"], [python(.string("x"))], .chosen("(m)")),
        Row(["([i])", "([s])"], [python(.list([python(.int64(1))]))], .chosen("([i])")),
        Row(["([i])", "([s])"], [python(.list([python(.string("a"))]))], .chosen("([s])")),
        Row(["([i])", "([s])"], [python(.list([]))], ambiguous),
        Row(["(i)", "(s)", "(ii)"], [python(.int64(1))], .chosen("(i)")),
        Row(["(i)", "(s)", "(ii)"], [python(.string("x"))], .chosen("(s)")),
        Row(["(i)", "(s)", "(ii)"], [python(.int64(1)), python(.int64(2))], .chosen("(ii)")),
        Row(["(+i)", "(s)"], [python(.void)], .chosen("(+i)")), Row(["(+i)", "(s)"], [python(.int64(3))], .chosen("(+i)")),
        Row(["(+i)", "(s)"], [python(.string("x"))], .chosen("(s)")),
        // One overload of the right count is taken unseen.
        Row(["(i)"], [python(.string("x"))], .chosen("(i)")), Row(["m"], [], .chosen("m")), Row(["m", "(i)"], [], .chosen("m")),
        Row(["(i)"], [], mismatch), Row(["(i)", "(s)"], [.void, .void], mismatch),
        Row(["(i)", "(o)"], [python(.string("x"))], mismatch),
        // Static types decide in the first round.
        Row(["(m)", "(s)"], [.string("x")], .chosen("(s)")), Row(["m", "(i)"], [.int32(1)], .chosen("(i)")),
        Row(["(r)", "(s)"], [.string("x")], .chosen("(s)")), Row(["({si})", "([i])"], [.map([])], .chosen("({si})")),
        Row(["({mm})", "([i])"], [.map([])], .chosen("({mm})")),
    ])
    func outcomes(_ row: Row) throws {
        let metaObject = Self.metaObject(row.overloads)
        switch row.outcome {
        case .chosen(let parameters):
            let method = try OverloadResolution.resolve("f", arguments: row.arguments, in: metaObject)
            #expect(method.parametersSignature == parameters)
        case .fails(let text):
            let error = #expect(throws: WireError.self) {
                try OverloadResolution.resolve("f", arguments: row.arguments, in: metaObject)
            }
            #expect(error?.code == .resolution)
            #expect(error?.message.hasPrefix(text) == true, "\(error?.message ?? "")")
        }
    }

    @Test func fullNames() throws {
        let metaObject = Self.metaObject(["(i)", "((is)<P,x,y>)"])
        #expect(try OverloadResolution.resolve("f::(i)", arguments: [], in: metaObject).uid == 100)
        #expect(try OverloadResolution.resolve("f::((is)<P,x,y>)", arguments: [], in: metaObject).uid == 101)
        #expect(try OverloadResolution.resolve("f::((is))", arguments: [], in: metaObject).uid == 101)
        for (name, text) in [
            ("f::(s)", "Arguments types did not match"), ("h::(i)", "Can't find method"), ("h", "Can't find method"),
        ] {
            let error = #expect(throws: WireError.self) { try OverloadResolution.resolve(name, arguments: [], in: metaObject) }
            #expect(error?.message.hasPrefix(text) == true)
        }
    }

    @Test func staticTypes() throws {
        let metaObject = Self.metaObject(["(i)", "(s)"])
        #expect(try OverloadResolution.resolve("f", types: [.int8], in: metaObject).parametersSignature == "(i)")
        #expect(throws: WireError.self) { try OverloadResolution.resolve("f", types: [.raw], in: metaObject) }
    }

    @Test func overloadsThatCannotBeParsedAreNotChosen() throws {
        let broken = MetaMethod(uid: 1, returnSignature: "?", name: "f", parametersSignature: "(?)")
        let good = MetaMethod(uid: 2, returnSignature: "v", name: "f", parametersSignature: "(i)")
        #expect(try OverloadResolution.resolve("f", types: [.int8], in: MetaObject(methods: [broken, good])).uid == 2)
        #expect(throws: WireError.self) { try OverloadResolution.resolve("f", types: [.int8], in: MetaObject(methods: [broken])) }
        #expect(try OverloadResolution.resolve("f::(?)", types: [], in: MetaObject(methods: [broken])).uid == 1)
    }

    @Test(arguments: [
        ("i", "i", 1), ("i", "L", 1), ("b", "i", 1), ("i", "d", 0.98), ("d", "i", 0.97), ("i", "b", 0.96), ("d", "b", 0.93),
        ("f", "d", 1),
        ("i", "m", 0.95), ("m", "m", 0.95), ("i", "X", 0.9), ("X", "X", 1), ("i", "v", 1), ("i", "s", 0), ("m", "i", 0),
        ("s", "r", 0),
        ("_", "i", 0.95), ("[_]", "[i]", 0.9525), ("i", "+i", 1), ("v", "+i", 1), ("+i", "+d", 0.98), ("+i", "i", 0),
        ("+i", "m", 0.95),
        ("[i]", "[d]", 0.981), ("#i", "[i]", 1), ("[i]", "(i)", 0), ("{si}", "{si}", 1), ("{si}", "{is}", 0), ("(ii)", "(ii)", 1),
        ("(ii)", "(i)", 0), ("(ii)<P,a,b>", "(i)<P,a>", 0.1), ("(ii)<P,a,b>", "(i)<Q,a>", 0), ("(ii)<P,a,b>", "(i)<P>", 0),
        ("o", "o", 1),
        ("o", "i", 0), ("o", "m", 0.95), ("s", "s", 1), ("r", "r", 1),
    ])
    func scores(_ from: String, _ to: String, _ expected: Double) throws {
        let score = Convertibility.score(from: try Signature(from).type, to: try Signature(to).type)
        #expect(abs(score - expected) < 1e-9)
    }
}
