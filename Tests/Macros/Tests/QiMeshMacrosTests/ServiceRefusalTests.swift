import SwiftSyntaxMacrosGenericTestSupport
import Testing

/// What `@Service` cannot express, told at the token that is to be changed, with the change where there is an obvious one.
@Suite struct ServiceRefusalTests {
    struct Refused: Sendable, CustomTestStringConvertible {
        var member: String
        var message: String
        var column: Int
        var fixIt: String?
        var mended: String?
        var testDescription: String { member }
    }

    static let methods = [
        Refused(
            member: "func say(_ text: String) -> Int",
            message: "'say' has to be 'async throws': a remote call waits for its answer, which may be an error", column: 10,
            fixIt: "make it 'async throws'", mended: "func say(_ text: String) async throws -> Int"),
        Refused(
            member: "func say() throws",
            message: "'say' has to be 'async throws': a remote call waits for its answer, which may be an error", column: 10,
            fixIt: "make it 'async throws'", mended: "func say() async throws"),
        Refused(
            member: "func say() async",
            message: "'say' has to be 'async throws': a remote call waits for its answer, which may be an error", column: 10,
            fixIt: "make it 'async throws'", mended: "func say() async throws"),
        Refused(
            member: "func say() async throws(MyError)",
            message: "a call can fail in all the ways of the bus, so it throws 'QiError', or any error by plain 'throws'", column: 29,
            fixIt: "throw QiError", mended: "func say() async throws(QiError)"),
        Refused(
            member: "func say<T>(_ value: T) async throws",
            message: "a service cannot be generic: each member has one signature, known before the first call", column: 13),
        Refused(
            member: "mutating func say() async throws", message: "a remote method changes nothing of the proxy", column: 5,
            fixIt: "remove 'mutating'", mended: "func say() async throws"),
        Refused(
            member: "static func say() async throws",
            message: "a service has methods, signals and properties; a static member cannot be reached on the bus", column: 5),
        Refused(
            member: "func object() async throws", message: "the generated proxy has a member 'object' of its own", column: 10),
        Refused(
            member: "@concurrent func say() async throws",
            message: "'@concurrent' says nothing about a member that is reached on the bus", column: 5),
    ]

    static let parameters = [
        Refused(
            member: "inout String", message: "'inout' cannot cross the bus: the callee has a copy; return the new value", column: 19,
            fixIt: "remove 'inout'", mended: "String"),
        Refused(
            member: "sending String", message: "'sending' says nothing about a value that is sent", column: 19,
            fixIt: "remove 'sending'", mended: "String"),
        Refused(
            member: "String...", message: "a remote method has a fixed number of parameters; take an array", column: 25,
            fixIt: "take an array", mended: "[String]"),
        Refused(
            member: "@escaping () -> Void",
            message: "a closure cannot be sent; pass an ObjectProxy to be called back, or declare a signal", column: 29),
        Refused(
            member: "[(Int) -> Int]",
            message: "a closure cannot be sent; pass an ObjectProxy to be called back, or declare a signal", column: 20),
        Refused(
            member: "(Int, String)",
            message: "a tuple cannot be sent, for Swift's tuples conform to nothing; declare a structure with @QiStruct", column: 19),
        Refused(
            member: "some Sendable",
            message: "'some Sendable' has no signature, which has to be known before there is a value; use QiValue for values of any type",
            column: 19),
        Refused(
            member: "[String: any Sendable]",
            message: "'any Sendable' has no signature, which has to be known before there is a value; use QiValue for values of any type",
            column: 28),
        Refused(
            member: "Any",
            message: "'Any' has no signature, which has to be known before there is a value; use QiValue for values of any type", column: 19),
        Refused(member: "Self", message: "'Self' has no qi type", column: 19),
        Refused(member: "Int.Type", message: "'Int.Type' has no qi type", column: 19),
        Refused(
            member: "String!", message: "a value that may be missing has to be an optional", column: 25, fixIt: "use an optional",
            mended: "String?"),
    ]

    static let members = [
        Refused(
            member: "var volume: Property<Int> { get set }",
            message: "a member is never replaced; the value of a property is written by 'set(_:)', so '{ get }' is enough", column: 37,
            fixIt: "remove 'set'", mended: "var volume: Property<Int> { get }"),
        Refused(
            member: "var volume: Int { get }", message: "a variable of a service is a 'Signal' or a 'Property'; 'Int' is neither", column: 17,
            fixIt: "make it a property", mended: "var volume: Property<Int> { get }"),
        Refused(
            member: "var volume: Property { get }", message: "say what 'Property' holds, for example 'Property<String>'", column: 17),
        Refused(
            member: "var heard: Signal { get }",
            message: "say what 'Signal' holds, for example 'Signal<String>' ('Signal< >' for nothing)", column: 16),
        Refused(
            member: "var heard: Signal<(Int, Int)> { get }",
            message: "a tuple cannot be sent, for Swift's tuples conform to nothing; declare a structure with @QiStruct", column: 23),
        Refused(
            member: "var heard: Signal<Int> { get async }",
            message: "a signal or property is at hand without waiting; what waits is its use, such as 'get()'", column: 34,
            fixIt: "remove 'async'", mended: "var heard: Signal<Int> { get }"),
        Refused(
            member: "var deadline: Property<Int> { get }", message: "the generated proxy has a member 'deadline' of its own", column: 9),
        Refused(
            member: "associatedtype Value", message: "a service cannot have associated types: each member has one signature", column: 5),
        Refused(
            member: "typealias Value = Int",
            message: "declare the type alias outside of the protocol: the generated code lies there too", column: 5),
        Refused(
            member: "subscript(index: Int) -> String { get }",
            message: "a service has methods, signals and properties; a subscript cannot be reached on the bus", column: 5),
        Refused(
            member: "init()", message: "a service has methods, signals and properties; an initializer cannot be reached on the bus", column: 5),
    ]

    @Test(arguments: methods + members) func member(_ refused: Refused) {
        check(refused) { "protocol Speech {\n    \($0)\n}" }
    }

    @Test(arguments: parameters) func parameter(_ refused: Refused) {
        check(refused) { "protocol Speech {\n    func say(_ x: \($0)) async throws\n}" }
    }

    private func check(_ refused: Refused, _ source: (String) -> String) {
        expectRefusal(
            "@Service " + source(refused.member), refused.message, line: 2, column: refused.column, fixIt: refused.fixIt,
            mended: refused.mended.map { "@Service " + source($0) })
    }

    @Test func result() {
        expectRefusal(
            "@Service protocol Speech {\n    func say() async throws -> (Int, Int)\n}",
            "a tuple cannot be sent, for Swift's tuples conform to nothing; declare a structure with @QiStruct", line: 2, column: 32)
    }

    @Test func overloadWithTheSameNumberOfParameters() {
        expectRefusal(
            """
            @Service protocol Speech {
                func say(_ text: String) async throws
                func say(_ text: String, language: String) async throws
                func say(number: Int) async throws
            }
            """,
            "'say' with 1 parameter is declared already: a macro sees how types are spelled, not whether they differ on the bus; give one "
                + "another name, or leave it out and use 'object.call'", line: 4, column: 10)
    }

    @Test(arguments: [
        ("@Service struct Speech {\n}", "@Service applies to a protocol, which names the methods, signals and properties of the service", 1),
        ("@Service protocol Speech: Actor {\n}", "'Actor' would exclude the generated proxy, which is a structure; a class or an actor can implement the protocol without it", 27),
        ("@Service protocol Speech: Talk {\n}", "@Service cannot see the members of 'Talk'; declare them here (only 'Sendable' can be inherited)", 27),
        ("@Service protocol Speech<Value> {\n}", "a service cannot be generic: each member has one signature, known before the first call", 25),
        ("@Service @MainActor protocol Speech {\n}", "a service's protocol cannot be isolated, for its proxy is used from any task; isolate the implementation", 10),
    ]) func head(source: String, message: String, column: Int) {
        expectRefusal(source, message, line: 1, column: column)
    }

    @Test func everythingIsReportedAtOnce() {
        expectRefusals(
            """
            @Service protocol Speech {
                func say()
                var volume: Int { get }
            }
            """,
            [
                DiagnosticSpec(
                    message: "'say' has to be 'async throws': a remote call waits for its answer, which may be an error", line: 2,
                    column: 10, fixIts: [FixItSpec(message: "make it 'async throws'")]),
                DiagnosticSpec(
                    message: "a variable of a service is a 'Signal' or a 'Property'; 'Int' is neither", line: 3, column: 17,
                    fixIts: [FixItSpec(message: "make it a property")]),
            ])
    }

    @Test func nameThatIsNoLiteral() {
        expectRefusal(
            "@Service(name) protocol Speech {\n}", "the service's name has to be a string literal: it is needed where the code is generated",
            line: 1, column: 10)
    }
}
