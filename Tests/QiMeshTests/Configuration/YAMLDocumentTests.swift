import QiMessaging
import Testing

@testable import QiMesh

@Suite struct YAMLShapeTests {
    private typealias Event = YAMLShape.Event

    /// What is said at each event.
    private func said(_ events: [YAMLShape.Event], _ bounds: YAMLShape.Bounds = .init()) -> [String] {
        var shape = YAMLShape(bounds)
        return events.compactMap { shape.received($0) }
    }

    @Test func listsAndMappingsOfTextsAreTaken() {
        // {a: [b, {c: d}], e: {}}
        let events: [YAMLShape.Event] = [
            .mappingBegin(), .scalar(), .listBegin(), .scalar(), .mappingBegin(), .scalar(), .scalar(), .end, .end, .scalar(),
            .mappingBegin(), .end, .end, .documentEnd,
        ]
        #expect(said(events).isEmpty)
    }

    @Test(arguments: [
        ([.alias("a")], "aliases (*a)"), ([.scalar(anchor: "b")], "anchors (&b)"), ([.listBegin(anchor: "c")], "anchors (&c)"),
        ([.mappingBegin(anchor: "d")], "anchors (&d)"), ([.mappingBegin(), .listBegin()], "a key has to be a text"),
        ([.mappingBegin(), .mappingBegin()], "a key has to be a text"),
        ([.mappingBegin(), .scalar(), .listBegin(), .end, .mappingBegin()], "a key has to be a text"),
    ] as [([YAMLShape.Event], String)])
    func everythingElseIsRefusedWhenItIsSeen(_ events: [YAMLShape.Event], _ beginning: String) {
        let said = said(events)
        #expect(said.count == 1 && said[0].hasPrefix(beginning), "\(said)")
    }

    @Test func depthAndNumberAreBounded() {
        let bounds = YAMLShape.Bounds(depth: 2, values: 3)
        #expect(said([.listBegin(), .listBegin(), .end, .listBegin()], bounds).isEmpty)
        #expect(said([.listBegin(), .listBegin(), .listBegin()], bounds) == ["lists and mappings are more than 2 deep"])
        #expect(said([.listBegin(), .scalar(), .scalar(), .scalar()], bounds) == ["there are more than 3 values"])
    }
}

@Suite(.timeLimit(.minutes(8))) struct YAMLDocumentTests {
    /// Each line names the one before nine times: 9 to the power of 30 texts of 1.2 kB.
    static let laughs: String = {
        let lines = (1...30).map { line in
            "l\(line): &l\(line) [\(Array(repeating: line == 1 ? "x" : "*l\(line - 1)", count: 9).joined(separator: ", "))]"
        }
        return lines.joined(separator: "\n") + "\n? *l30\n: 1\n"
    }()

    /// The doors that a document comes in by, each with its own reading of it.
    static let readers: [(String, @Sendable (String) throws(MeshError) -> Void)] = [
        ("qimesh.yaml", { text throws(MeshError) in _ = try MeshConfiguration.parse(text, path: "x.yaml", directory: "/", home: "/") }),
        ("policy.yaml", { text throws(MeshError) in _ = try PolicyFile.parse(text, path: "x.yaml") }),
        ("a manifest", { text throws(MeshError) in _ = try AppManifest(text, path: "x.yaml") }),
        ("expectations", { text throws(MeshError) in _ = try PolicyExpectations.parse(text, path: "x.yaml") }),
    ]

    @Test(arguments: YAMLDocumentTests.readers.indices, [
        (YAMLDocumentTests.laughs, "x.yaml:1: anchors (&l1) are not taken"), ("a: *b\n", "x.yaml:1: aliases (*b) are not taken"),
        ("# x\n\n? [a, b]\n: c\n", "x.yaml:3: a key has to be a text"), ("a: {{b: c}: d}\n", "x.yaml:1: a key has to be a text"),
        (String(repeating: "[", count: 500), "deep"), (String(repeating: "- ", count: 30_000), "deep"),
    ])
    func whatIsDangerousIsRefusedByEveryReader(_ reader: Int, _ mistake: (String, String)) {
        let error = #expect(throws: MeshError.self) { try Self.readers[reader].1(mistake.0) }
        let isTooLarge = error?.message.contains("is larger than") == true
        #expect(error?.code == .configuration && (isTooLarge || error?.message.contains(mistake.1) == true), "\(error?.message ?? "")")
    }

    /// The parser itself gives up before the shape is seen.
    @Test(arguments: YAMLDocumentTests.readers.indices)
    func bracketsWithoutEndAreRefused(_ reader: Int) {
        let error = #expect(throws: MeshError.self) { try Self.readers[reader].1(String(repeating: "[", count: 60_000)) }
        #expect(error?.code == .configuration)
    }

    @Test func placesOfMistakesAreThoseOfTheText() {
        let text = "rules:\n  - who: everyone\n    allow: [*all]\n"
        let error = #expect(throws: MeshError.self) { _ = try PolicyFile.parse(text, path: "p.yaml") }
        #expect(error?.message == "p.yaml:3: aliases (*all) are not taken; a text that begins with * needs quotes")
    }

    @Test func whatIsNotYAMLIsSaidByItsParser() {
        let error = #expect(throws: MeshError.self) { _ = try PolicyFile.parse("rules: [\n", path: "p.yaml") }
        #expect(error?.message.contains("this is not YAML") == true, "\(error?.message ?? "")")
    }

    @Test func onlyCommentsAreNoDocument() throws {
        for text in ["", "# a\n", "---\n", "~\n"] { #expect(try YAMLDocument.parse(text, path: "x") == nil) }
    }

    @Test func sizeIsBounded() {
        let error = #expect(throws: MeshError.self) { _ = try YAMLDocument.parse("aaaa", path: "x", limit: 3) }
        #expect(error?.message == "x is larger than 3 bytes")
    }

    /// Ten thousand expectations and a policy of a thousand rules are within the bounds.
    @Test func whatPeopleWriteIsTaken() throws {
        let row = "- { who: op@lab.example, target: ALMotion.moveTo, action: call, expect: deny, rule: 2 }\n"
        #expect(try YAMLDocument.parse(String(repeating: row, count: 10_000), path: "t") != nil)
        let rule = "  - who: op@lab.example\n    allow: [\"A.*\", \"B.b\"]\n"
        #expect(try YAMLDocument.parse("rules:\n" + String(repeating: rule, count: 1_000), path: "p") != nil)
    }
}
