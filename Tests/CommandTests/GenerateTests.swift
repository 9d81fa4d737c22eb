import QiWire
import Testing

@testable import QiMeshCLI

@Suite("qimesh gen")
struct GenerateTests {
    private func swift(_ service: String, _ metaObject: MetaObject, hidden: Bool = false) -> String {
        var interface = SwiftInterface()
        interface.add(ServiceMembers(metaObject, hidden: hidden, generic: false), service: service)
        return interface.text
    }

    private var speech: MetaObject {
        var builder = MetaObjectBuilder(description: "Speaks.")
        builder.addMethod("say", parameters: "(s)", description: "Says a text.\nSlowly.", parameterDescriptions: [
            MetaMethodParameter(name: "text", description: "what"),
        ])
        builder.addMethod("say", parameters: "(ss)")
        builder.addMethod("say", parameters: "(si)")
        builder.addMethod("position", parameters: "(o+{s[m]})", returns: "(dds)<Point,x,y,name>")
        builder.addMethod("move", parameters: "((dds)<Point,x,y,name>(ir))", returns: "b")
        builder.addMethod("anything", parameters: "m", returns: "m")
        builder.addMethod("in", parameters: "(f)", parameterDescriptions: [MetaMethodParameter(name: "for", description: "")])
        builder.addMethod("_secret", parameters: "()")
        builder.addSignal("spoken", "(sI)")
        builder.addSignal("done", "()")
        builder.addSignal("any", "m")
        builder.addProperty("volume", "f")
        builder.addProperty("object", "i")
        return builder.build()
    }

    @Test("a protocol, with what Swift cannot express named")
    func protocolText() {
        #expect(
            swift("ALTextToSpeech", speech) == """
                // Made by `qimesh gen` from live services.

                import QiMessaging

                /// Speaks.
                @Service protocol ALTextToSpeech {
                    func `in`(_ `for`: Float) async throws
                    func move(_ argument0: Point, _ argument1: MoveArgument) async throws -> Bool
                    func position(_ argument0: ObjectProxy, _ argument1: [String: [QiValue]]?) async throws -> Point
                    /// Says a text.
                    /// Slowly.
                    /// - Parameter text: what
                    func say(_ text: String) async throws
                    func say(_ argument0: String, _ argument1: String) async throws
                    var done: Signal< > { get }
                    var spoken: Signal<String, UInt32> { get }
                    var volume: Property<Float> { get }
                    // Not expressible here; call these by name, as in `object.call("name", …)`:
                    //     anything::mm
                    //     say::(si)v
                    //     any::m
                    //     object: i
                }

                @QiStruct struct Point {
                    var x: Double
                    var y: Double
                    var name: String
                }

                @QiStruct struct MoveArgument {
                    var member0: Int32
                    var member1: ByteBuffer
                }
                """)
    }

    @Test("names that begin with _ on demand, generic members never")
    func hidden() {
        #expect(!swift("S", speech).contains("_secret"))
        let text = swift("S", speech, hidden: true)
        #expect(text.contains("func _secret() async throws") && !text.contains("registerEvent"))
    }

    @Test("several services share structures; a taken name gets a number")
    func several() {
        var first = MetaObjectBuilder()
        first.addMethod("a", parameters: "((d)<Point,x>)", returns: "(i)<Point,x>")
        first.addMethod("b", parameters: "((d)<String,x>)")
        var interface = SwiftInterface()
        interface.add(ServiceMembers(first.build(), hidden: false, generic: false), service: "One")
        interface.add(ServiceMembers(first.build(), hidden: false, generic: false), service: "One")
        let text = interface.text
        #expect(text.contains("@Service protocol One {") && text.contains("@Service(\"One\") protocol One2 {"))
        #expect(text.contains("func a(_ argument0: Point) async throws -> Point2"))
        #expect(text.contains("func b(_ argument0: String2) async throws"))
        #expect(text.ranges(of: "struct Point ").count == 1 && text.ranges(of: "struct Point2 ").count == 1)
    }

    @Test("names of strangers never become code")
    func hostileNames() {
        var builder = MetaObjectBuilder(description: "*/ }\n} import Evil\r\u{2028}x")
        builder.addMethod("x() async throws } ; func evil", parameters: "()", description: "a\r\nb")
        builder.addMethod("y", parameters: "(i)", parameterDescriptions: [MetaMethodParameter(name: "a: Int, b", description: "c\nd")])
        builder.addMethod("z", parameters: "((i)<A { }; struct B,x y>)")
        builder.addSignal("s: Int } //", "()")
        let text = swift("Évil \"\\(x)\" {", builder.build())
        for line in text.split(separator: "\n") {
            let code = line.drop { $0 == " " }
            #expect(
                code.hasPrefix("//") || code.hasPrefix("@Service(\"") || code.hasPrefix("func y(_ argument0: Int32)")
                    || code.hasPrefix("func z(_ argument0: AStructB)") || code == "}" || code == "import QiMessaging"
                    || code.hasPrefix("@QiStruct struct") || code == "var member0: Int32", "\(line)")
        }
        #expect(text.contains("@Service(\"Évil \\\"\\\\(x)\\\" {\") protocol VilX {"))
    }

    @Test("the interface language of qiloop")
    func interfaceLanguage() {
        var interface = QiInterface()
        var builder = MetaObjectBuilder()
        builder.addMethod("say", parameters: "(s)", parameterDescriptions: [MetaMethodParameter(name: "text", description: "")])
        builder.addMethod("find", parameters: "({sf}[m])", returns: "(do)<Place,x,who>")
        builder.addSignal("said", "(sI)")
        builder.addProperty("volume", "f")
        interface.add(ServiceMembers(builder.build(), hidden: false, generic: false), service: "Speech")
        #expect(
            interface.text == """
                package services

                interface Speech
                \tfn find(P0: Map<str,float32>, P1: Vec<any>) -> Place //uid:101
                \tfn say(text: str) //uid:100
                \tsig said(P0: str, P1: uint32) //uid:102
                \tprop volume(param: float32) //uid:103
                end

                struct Place
                \tx: float64
                \twho: obj
                end
                """)
    }
}
