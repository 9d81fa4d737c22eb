import Testing

@testable import QiMesh

@Suite struct JIDGlobTests {
    @Test(arguments: [
        ("op@lab.example", "op@lab.example", true), ("op@lab.example", "op2@lab.example", false),
        ("op@lab.example", "op@lab.example.evil", false), ("op@lab.example", "OP@Lab.Example", true),
        ("OP@LAB.example", "op@lab.example", true),
        ("*@robots.example", "nao1@robots.example", true), ("*@robots.example", "nao1@evilrobots.example", false),
        ("*@robots.example", "nao1@robots.example@evil", false), ("*@robots.example", "robots.example", false),
        ("*@robots.example", "@robots.example", false), ("*@robots.example", "nao1@robots.example/x", false),
        ("*@robots.example", "nao1@x.robots.example", false),
        ("nao*@robots.example", "nao@robots.example", true), ("nao*@robots.example", "nao17@robots.example", true),
        ("nao*@robots.example", "mynao@robots.example", false), ("n*o*1@r", "nao-to-1@r", true),
        ("n*o*1@r", "nao-to-12@r", false),
        ("*@*.example", "a@b.example", true), ("*@*.example", "a@b.c.example", true), ("*@*.example", "a@example", false),
        ("*@*.example", "a@bexample", false), ("*@*", "a@b", true), ("*@*", "b", false),
    ])
    func matches(pattern: String, jid: String, expected: Bool) throws {
        #expect(try #require(JIDGlob(pattern)).matches(jid) == expected)
    }

    @Test(arguments: ["", "*", "a", "@b", "a@", "a@b@c", "a@b/c", "a b@c", "a@*b", "a@b*.c", "a@b..c", "a@.b", "a\n@b"])
    func refusesWhatIsNoPattern(_ pattern: String) {
        #expect(JIDGlob(pattern) == nil)
    }

    @Test func stubbornPatternsStayCheap() throws {
        let pattern = try #require(JIDGlob(String(repeating: "a*", count: 500) + "b@c"))
        #expect(!pattern.matches(String(repeating: "a", count: 1_000) + "@c"))
        #expect(JIDGlob(String(repeating: "a", count: 2_048) + "@c") == nil)
    }
}
