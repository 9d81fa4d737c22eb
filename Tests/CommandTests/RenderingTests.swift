import QiWire
import Testing

@testable import QiMesh
@testable import QiMeshCLI

@Suite("Tables, times, colour")
struct RenderingTests {
    private var table: Table {
        var table = Table(["DEVICE", "STATE", "JID"])
        table.add([.init("pepper"), .init("online", Tint(state: "online")), .init("pepper@robots.example")])
        table.add([.init(""), .init("asks", Tint(state: "asks"))])
        return table
    }

    @Test("a pipe gets aligned columns, without colour and uncut")
    func plain() {
        #expect(
            table.lines(colour: false) == [
                "DEVICE  STATE   JID", "pepper  online  pepper@robots.example", "–       asks    –",
            ])
    }

    @Test("a terminal gets colour that does not disturb the columns, and rows that go on where an address does not fit")
    func coloured() {
        let lines = table.lines(colour: true, width: 28)
        #expect(lines[0] == "DEVICE  STATE" && lines[1] == "    JID")
        #expect(lines[2] == "pepper  \u{1B}[32monline\u{1B}[0m" && lines[3] == "    pepper@robots.example")
        #expect(lines[4] == "\u{1B}[2m–\u{1B}[0m       \u{1B}[33masks\u{1B}[0m" && lines[5] == "    \u{1B}[2m–\u{1B}[0m")
        #expect(table.lines(colour: false, width: 37).count == 3)
    }

    @Test("a terminal is spared what says nothing, and words are cut before names")
    func narrow() {
        var table = Table(["NAME", "SILENT", .init("REASON", .words), "JID"])
        table.add([.init("pepper"), .init(""), .init("the server does not know the account"), .init("pepper@robots.example")])
        let blanks = String(repeating: " ", count: 25)
        #expect(table.lines(colour: false, width: 60) == [
            "NAME    REASON\(blanks)JID", "pepper  the server does not know the…  pepper@robots.example",
        ])
        #expect(table.lines(colour: false)[0].contains("SILENT"))
        // Never fewer than sixteen characters: then a row goes on.
        #expect(table.lines(colour: false, width: 40)[1...] == [
            "    JID", "pepper  the server does…", "    pepper@robots.example",
        ])
    }

    @Test("names of a list go on below each other, uncut")
    func lists() {
        var table = Table(["ID", .init("ENDPOINTS", .list)])
        table.add([.init("1"), .init("unix:/run/user/1000/qimesh/sd.sock tcp://127.0.0.1:9559 tcp://10.0.0.5:9559")])
        #expect(table.lines(colour: false, width: 50) == [
            "ID  ENDPOINTS", "1   unix:/run/user/1000/qimesh/sd.sock", "    tcp://127.0.0.1:9559 tcp://10.0.0.5:9559",
        ])
    }

    @Test("names of peers are harmless")
    func harmless() {
        var table = Table(["A"])
        table.add([.init("\u{1B}]0;owned\u{7}\n")])
        #expect(table.lines(colour: false)[1] == "\\x1b]0;owned\\x07\\n")
        #expect(Printable.block("a\n\tb\u{1B}\r") == "a\n\tb\\x1b\\r")
        #expect(Printable.line("héllo 世界 😀") == "héllo 世界 😀")
    }

    @Test(
        arguments: [
            (-5, "now"), (0, "now"), (42, "42s"), (192, "3m12s"), (3_600 * 5 + 240, "5h04m"), (86_400 * 12, "12d"),
            (.infinity, ""),
            (.nan, ""), (1e300, "11574074d"),
        ] as [(Double, String)])
    func ago(_ seconds: Double, _ expected: String) { #expect(TimeText.ago(seconds) == expected) }

    @Test func shortTimes() {
        #expect(TimeText.milliseconds(2.04) == "2.0 ms" && TimeText.milliseconds(61.4) == "61 ms")
        #expect(TimeText.milliseconds(.nan) == "")
        #expect(TimeText.seconds(.seconds(10)) == "10 s" && TimeText.seconds(.milliseconds(500)) == "0.5 s")
    }

    @Test("colour by option, NO_COLOR, CLICOLOR and terminal, in this order")
    func colourChoice() {
        #expect(ColourChoice.always.isOn(terminal: false, environment: ["NO_COLOR": "1"]))
        #expect(!ColourChoice.never.isOn(terminal: true, environment: [:]))
        #expect(ColourChoice.auto.isOn(terminal: true, environment: ["NO_COLOR": ""]))
        #expect(!ColourChoice.auto.isOn(terminal: true, environment: ["NO_COLOR": "1"]))
        #expect(!ColourChoice.auto.isOn(terminal: true, environment: ["CLICOLOR": "0"]))
        #expect(!ColourChoice.auto.isOn(terminal: true, environment: ["TERM": "dumb"]))
        #expect(!ColourChoice.auto.isOn(terminal: false, environment: [:]))
    }
}

@Suite("The members of a service")
struct ServiceMembersTests {
    private let object = MetaObject(
        methods: [
            MetaMethod(uid: 0, returnSignature: "L", name: "registerEvent", parametersSignature: "(IIL)"),
            MetaMethod(
                uid: 101, returnSignature: "v", name: "say", parametersSignature: "(ss)", description: "Speaks",
                parameters: [.init(name: "text", description: ""), .init(name: "", description: "")]),
            MetaMethod(uid: 100, returnSignature: "f", name: "getVolume", parametersSignature: "()", description: "None"),
            MetaMethod(uid: 102, returnSignature: "v", name: "_debug", parametersSignature: "m"),
        ],
        signals: [MetaSignal(uid: 110, name: "done", signature: "(s)"), MetaSignal(uid: 120, name: "volume", signature: "(f)")],
        properties: [MetaProperty(uid: 120, name: "volume", signature: "f")])

    @Test func text() {
        let members = ServiceMembers(object, hidden: false)
        #expect(members.heading(service: "TTS", device: "pepper") == "TTS  pepper  2 methods  1 signal  1 property")
        #expect(
            members.lines == [
                "METHODS", "  getVolume() -> Float       ::()", "  say(text: String, String)  ::(ss)", "      Speaks", "SIGNALS",
                "  done(String)  ::(s)", "PROPERTIES", "  volume: Float  ::f",
            ])
        #expect(members.signatures == ["getVolume::()f", "say::(ss)v", "done::(s)", "volume::f"])
    }

    @Test func hidden() {
        #expect(ServiceMembers(object, hidden: true).methods.map(\.name) == ["_debug", "getVolume", "registerEvent", "say"])
    }

    @Test func one() throws {
        let members = ServiceMembers(object, hidden: true)
        #expect(try members.only("say::(ss)", of: "TTS").methods.map(\.uid) == [101])
        #expect(try members.only("volume", of: "TTS").properties.count == 1)
        let failure = #expect(throws: CommandFailure.self) { try members.only("sai", of: "TTS") }
        #expect(failure?.code == .notFound && failure?.message.contains("did you mean say?") == true)
    }

    @Test func json() {
        let json = ServiceMembers(object, hidden: false).json
        guard case .array(let methods)? = json["methods"] else {
            Issue.record("no methods")
            return
        }
        #expect(methods.compactMap { $0["name"] } == ["getVolume", "say"])
        #expect(methods[1]["signature"] == "(ss)" && methods[1]["returns"] == "v")
    }

    @Test(
        "types in words",
        arguments: [
            ("i", "Int32"), ("[s]", "[String]"), ("{sm}", "[String: Value]"), ("+i", "Int32?"), ("(is)", "(Int32, String)"),
            ("(dd)<Point,x,y>", "Point"), ("not one", "not one"), ("#i", "Int32..."),
        ])
    func types(_ signature: String, _ expected: String) { #expect(TypeName.text(signature: signature) == expected) }

    @Test("a structure of absurd size is cut")
    func longType() {
        let name = TypeName.text(signature: "(" + String(repeating: "i", count: 5_000) + ")")
        #expect(name.count == TypeName.lengthLimit + 1)
    }
}

@Suite("The list of devices")
struct DevicesTests {
    @Test func table() {
        let rows = [
            DeviceRow(
                name: "pepper", jid: "p@x", state: "online", model: "Pepper 1.8", services: 84, path: "in-band", rtt: 60.7, lastSeen: 100,
                subscription: "both", account: "own@x"),
            DeviceRow(
                name: "nao", jid: "n@x", state: "stale", rtt: 2.04, staleSince: 250, lastSeen: 243, subscription: "both", account: "own@x"),
            DeviceRow(name: "old", jid: "o@x", state: "offline", lastSeen: 100, subscription: "both", account: "own@x"),
        ]
        #expect(
            Devices.table(rows, now: 292).lines(colour: false) == [
                "DEVICE  STATE    MODEL       SERVICES  PATH     RTT    LAST SEEN  JID",
                "pepper  online   Pepper 1.8  84        in-band  61 ms  now        p@x",
                "nao     stale    –           –         –        –      49s        n@x",
                "old     offline  –           –         –        –      3m12s      o@x",
            ])
        #expect(Devices.summary(rows) == "3 devices: 1 online, 1 stale, 1 offline")
        #expect(Devices.summary([rows[0]]) == "1 device: 1 online")
    }

    @Test("for programs an unknown text is empty, what else is unknown null")
    func json() {
        let row = DeviceRow(name: "p", jid: "p@x", state: "offline", subscription: "both", account: "own@x")
        let expected = #"{"name":"p","jid":"p@x","state":"offline","model":"","services":null,"path":"","rtt":null,"staleSince":null,"#
            + #""lastSeen":null,"resource":"","subscription":"both","fingerprint":"","note":"","admitted":"","account":"own@x","trouble":""}"#
        #expect(JSONValue(control: row).text == expected)
        #expect(JSONValue(control: [row]).text == "[\(expected)]")
    }

    @Test("members of a part stand among the others, or not at all")
    func spreading() {
        let whole = JSONValue.object([("a", "1"), ("part", .object([("b", "2"), ("c", "3")])), ("d", "4")])
        #expect(whole.spreading("part").text == #"{"a":"1","b":"2","c":"3","d":"4"}"#)
        #expect(JSONValue.object([("a", "1"), ("part", .null)]).spreading("part").text == #"{"a":"1"}"#)
    }
}
