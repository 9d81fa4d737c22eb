import QiMesh
import Testing

@testable import QiMeshCLI

@Suite("Targets: [DEVICE/]Service[.member]")
struct TargetTests {
    @Test(
        "parse",
        arguments: [
            ("ALTextToSpeech", nil, "ALTextToSpeech", nil),
            ("ALTextToSpeech.say", nil, "ALTextToSpeech", "say"),
            ("pepper/ALTextToSpeech.say", "pepper", "ALTextToSpeech", "say"),
            ("nao1@robots.example/Peer.x", "nao1@robots.example", "Peer", "x"),
            ("nao1@robots.example/qimesh/Peer.x", "nao1@robots.example/qimesh", "Peer", "x"),
            ("tcp://10.0.0.5:9559/Peer.x", "tcp://10.0.0.5:9559", "Peer", "x"),
            ("unix:/run/qimesh/sd.sock/Peer.x", "unix:/run/qimesh/sd.sock", "Peer", "x"),
            ("tcp://10.0.0.5/Peer.x", "tcp://10.0.0.5:9559", "Peer", "x"), ("10.0.0.5/Peer", "tcp://10.0.0.5:9559", "Peer", nil),
            ("localhost:9600/Peer.x", "tcp://localhost:9600", "Peer", "x"), ("[::1]:1/Peer", "tcp://[::1]:1", "Peer", nil),
            ("tcp://[::1]:1/Peer.f::([s])", "tcp://[::1]:1", "Peer", "f::([s])"),
            ("TCPS://robot.local/Peer", "tcps://robot.local:9503", "Peer", nil), ("/run/sd.sock/Peer.x", "unix:/run/sd.sock", "Peer", "x"),
            ("a.b.c", nil, "a.b", "c"),
            ("Peer.say::(s)<A/B.c,d>", nil, "Peer", "say::(s)<A/B.c,d>"),
            ("my.robot/Peer", "my.robot", "Peer", nil),
            ("ALMemory.*", nil, "ALMemory", "*"),
        ] as [(String, String?, String, String?)])
    func parses(_ text: String, _ device: String?, _ service: String, _ member: String?) throws {
        let target = try Target(text)
        #expect(target.device?.text == device)
        #expect(target.split?.service ?? target.rest == service)
        #expect(target.split?.member == member)
    }

    @Test("a whole service's name wins over a member of a shorter one")
    func readings() throws {
        #expect(
            try Target("a.b").readings == [.init(service: "a.b", member: nil), .init(service: "a", member: "b")])
        #expect(try Target("a").readings == [.init(service: "a", member: nil)])
        #expect(try Target("a.f::(s)").readings == [.init(service: "a", member: "f::(s)")])
        #expect(try Target("a.").readings == [.init(service: "a.", member: nil)])
    }

    @Test(
        "no service is an error of usage",
        arguments: ["", "pepper/", "/Peer", "tcp://10.0.0.5:9559", "tcp:///", ".x", "pepper/.x", "tcp://nowhere:x/Peer",
            "10.0.0.5:9559", "tcp://10.0.0.5/", "localhost:9559", "[::1]:9559", "http://a/Peer"])
    func refuses(_ text: String) {
        let failure = #expect(throws: CommandFailure.self) { try Target(text) }
        #expect(failure?.code == .usage)
    }

    @Test func refusesAbsurdLength() {
        #expect(throws: CommandFailure.self) { try Target(String(repeating: "a", count: Target.lengthLimit + 1)) }
        #expect(throws: CommandFailure.self) { try DeviceName(String(repeating: "a", count: DeviceName.lengthLimit + 1)) }
        #expect(throws: CommandFailure.self) { try DeviceName("a\u{1B}b") }
    }

    @Test("--device serves targets that name none")
    func defaultDevice() throws {
        #expect(try Target("Peer.x", device: .contact("pepper")).device == .contact("pepper"))
        #expect(try Target("nao/Peer.x", device: .contact("pepper")).device == .contact("nao"))
    }

    @Test("only a contact's name is part of what the directory is asked for")
    func lookUpName() throws {
        #expect(try Target("pepper/Peer").lookUpName(of: "Peer") == "pepper/Peer")
        #expect(try Target("tcp://10.0.0.5:9559/Peer").lookUpName(of: "Peer") == "Peer")
        #expect(try Target("Peer").lookUpName(of: "Peer") == "Peer")
    }

    @Test func memberIsRequired() throws {
        #expect(try Target("Peer.x").requireMember("method") == .init(service: "Peer", member: "x"))
        let failure = #expect(throws: CommandFailure.self) { try Target("Peer").requireMember("method") }
        #expect(failure?.code == .usage)
    }
}

@Suite("Which directory is asked")
struct DirectoryCandidatesTests {
    private let environment = ["HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/user/7"]

    @Test func usualPlaces() {
        #expect(
            DirectoryCandidates(url: nil, environment: environment).urls == [
                "unix:/run/user/7/qimesh/sd.sock", "unix:/home/me/.local/state/qimesh/run/sd.sock", "unix:/run/qimesh/sd.sock",
                "tcp://127.0.0.1:9559",
            ])
        #expect(DirectoryCandidates(url: nil, environment: [:]).urls == ["unix:/run/qimesh/sd.sock", "tcp://127.0.0.1:9559"])
        let state = ["HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "relative"]
        #expect(
            DirectoryCandidates(url: nil, environment: state).urls == [
                "unix:/s/qimesh/run/sd.sock", "unix:/run/qimesh/sd.sock", "tcp://127.0.0.1:9559",
            ])
    }

    @Test("option, then $QIMESH_URL, then $QI_URL; each is the only one then")
    func precedence() {
        var environment = self.environment
        environment["QI_URL"] = "tcp://robot:9559"
        #expect(DirectoryCandidates(url: nil, environment: environment).urls == ["tcp://robot:9559"])
        environment["QIMESH_URL"] = "unix:/x"
        #expect(DirectoryCandidates(url: nil, environment: environment).urls == ["unix:/x"])
        let explicit = DirectoryCandidates(url: "tcp://a:1", environment: environment)
        #expect(explicit.urls == ["tcp://a:1"])
        #expect(explicit.source == "--url")
        environment["QIMESH_URL"] = ""
        #expect(DirectoryCandidates(url: nil, environment: environment).source == "$QI_URL")
    }

    @Test("addresses as people type them are completed, and what is none is kept for the message")
    func completed() {
        #expect(DirectoryCandidates(url: "10.0.0.5", environment: [:]).urls == ["tcp://10.0.0.5:9559"])
        #expect(DirectoryCandidates(url: nil, environment: ["QI_URL": "robot.local:9560/"]).urls == ["tcp://robot.local:9560"])
        #expect(DirectoryCandidates(url: "http://x", environment: [:]).urls == ["http://x"])
    }

    @Test("the robot of $QI_URL has no contacts, and no TCP port has a control interface")
    func purposes() {
        var environment = self.environment
        environment["QI_URL"] = "tcp://robot:9559"
        let contacts = DirectoryCandidates(url: nil, environment: environment, for: .contacts).urls
        #expect(contacts.first == "unix:/run/user/7/qimesh/sd.sock" && contacts.last == "tcp://127.0.0.1:9559")
        let control = DirectoryCandidates(url: nil, environment: environment, for: .control).urls
        #expect(control.allSatisfy { $0.hasPrefix("unix:") } && control.count == 3)
        #expect(DirectoryCandidates(url: "tcp://a:1", environment: environment, for: .control).urls == ["tcp://a:1"])
    }
}

@Suite("Words of the command line")
struct WordTests {
    @Test(
        arguments: [
            ("5", 5), ("0.5", 0.5), ("500ms", 0.5), ("2s", 2), ("3m", 180), ("1h", 3_600), (".5", 0.5), ("8760h", 31_536_000),
        ])
    func times(_ text: String, _ seconds: Double) {
        #expect(TimeSpan(argument: text).map { TimeText.inSeconds($0.duration) } == seconds)
    }

    @Test(arguments: ["", "s", "0", "-1", "1e3", "five", "1d", "1 s", "nan", "inf", "99999h", "1.2.3", "١"])
    func noTimes(_ text: String) { #expect(TimeSpan(argument: text) == nil) }

    @Test(
        arguments: [
            ("*", "", true), ("*", "abc", true), ("a*c", "abbc", true), ("a*c", "abb", false), ("?", "a", true), ("?", "", false),
            ("a", "a", true), ("a", "ab", false), ("*a*b*", "xaxbx", true), ("*a*b*", "xbxax", false), ("", "", true),
            ("", "a", false),
            ("a**b", "ab", true),
        ])
    func globs(_ pattern: String, _ text: String, _ expected: Bool) { #expect(Glob.matches(pattern, text) == expected) }

    @Test("what can only be an address is one; anything else names a contact", arguments: [
        ("10.0.0.5", "tcp://10.0.0.5:9559"), ("localhost", "tcp://localhost:9559"), ("::1", "tcp://[::1]:9559"), ("/run/sd.sock", "unix:/run/sd.sock"),
        ("robot.local:9559/", "tcp://robot.local:9559"), ("pepper", nil), ("pepper.local", nil), ("a@b.example", nil), ("a@b/home:1", nil),
        ("pepper/", nil), ("10.0.0", nil), ("unit:x", nil),
    ] as [(String, String?)])
    func devices(_ text: String, _ url: String?) throws {
        let device = try DeviceName(text)
        let expected = url.map { DeviceName.directory($0) } ?? .contact(text == "pepper/" ? "pepper" : text)
        #expect(device == expected)
    }

    @Test("where to listen is completed, too")
    func listening() throws {
        #expect(try Up.addresses(["127.0.0.1", "[::1]:0", "/run/a.sock"]) == ["tcp://127.0.0.1:9559", "tcp://[::1]:0", "unix:/run/a.sock"])
        #expect(throws: CommandFailure.self) { try Up.addresses(["http://a"]) }
    }

    @Test("a hostile pattern does not take exponential time")
    func globOfManyStars() {
        #expect(!Glob.matches(String(repeating: "*a", count: 200) + "b", String(repeating: "a", count: 2_000)))
    }

    @Test("negative numbers are values, for the verbs that take values")
    func negativeNumbers() {
        #expect(
            NegativeNumbers.protected(["call", "A.b", "-90", "-1.5e3", "-v", "--json"])
                == ["call", "A.b", " -90", " -1.5e3", "-v", "--json"])
        #expect(NegativeNumbers.protected(["call", "A.b", "-.5", "-0x10", "-1_000"]) == ["call", "A.b", " -.5", " -0x10", " -1_000"])
        #expect(NegativeNumbers.protected(["set", "A.b", "-1"]) == ["set", "A.b", " -1"])
        #expect(NegativeNumbers.protected(["watch", "A.b", "--count", "-1"]) == ["watch", "A.b", "--count", "-1"])
        #expect(NegativeNumbers.protected(["call", "A.b", "--", "-1"]) == ["call", "A.b", "--", "-1"])
        #expect(NegativeNumbers.protected([]) == [])
    }

    @Test("messages show a negative number as it was typed")
    func negativeNumbersInMessages() throws {
        let typed = try #require(NegativeNumbers.protected(["call", "A.b", "-1"]).last)
        #expect(try CallArgument(typed).text == "-1")
    }

    @Test(
        arguments: [
            ("ALTextToSpech", "ALTextToSpeech"), ("peper", "pepper"), ("PEPPER", "pepper"), ("x", nil), ("zzzzzzzz", nil),
            ("", nil),
        ] as [(String, String?)])
    func spelling(_ word: String, _ expected: String?) {
        #expect(Spelling.nearest(to: word, in: ["ALMemory", "ALTextToSpeech", "pepper", "desk"]) == expected)
    }
}
