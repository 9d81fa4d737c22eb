@testable import QiMessaging
import Testing

struct EndpointTests {
    @Test(arguments: [
        ("tcp://127.0.0.1:9559", Endpoint.Kind.tcp(host: "127.0.0.1", port: 9559)),
        ("127.0.0.1:9559", .tcp(host: "127.0.0.1", port: 9559)),
        ("tcp://robot.local:0", .tcp(host: "robot.local", port: 0)),
        ("tcp://[::1]:9559", .tcp(host: "::1", port: 9559)),
        ("tcps://h:1", .tls(host: "h", port: 1, mutual: false)),
        ("tcpsm://h:1", .tls(host: "h", port: 1, mutual: true)),
        ("unix:/run/qi", .unix(path: "/run/qi")),
        ("unix:///run/qi", .unix(path: "/run/qi")),
        ("qi:ServiceDirectory", .relative(service: "ServiceDirectory")),
        ("http://h/x", .other),
    ])
    func parses(text: String, kind: Endpoint.Kind) {
        #expect(Endpoint(text)?.kind == kind)
    }

    @Test(arguments: [
        "", "tcp://", "tcp://h", "tcp://h:", "tcp://h:65536", "tcp://h:-1", "tcp://h:x", "tcp://h:1/path", "tcp://a@h:1", "tcp://:1",
        "tcp://[::1]", "tcp://[::1:1", "tcp://::1:1", "h", "tcp://h :1", "tcp://h\u{e9}:1", "1tcp://h:1", "://h:1", "unix:relative", "unix:",
        "qi:", "tcp://h:1\n", "unix:/" + String(repeating: "x", count: 107), "tcp://" + String(repeating: "x", count: 1024) + ":1",
    ])
    func refuses(text: String) {
        #expect(Endpoint(text) == nil)
    }

    @Test(arguments: [
        ("tcp://127.0.0.1:1", true), ("tcp://127.1.2.3:1", true), ("tcp://localhost:1", true), ("tcp://[::1]:1", true), ("unix:/x", true),
        ("tcp://10.0.0.1:1", false), ("tcp://127.example:1", false), ("tcp://127.0.0.evil:1", false),
        ("tcp://127.a.b.example:1", false), ("tcp://127.0.0.256:1", false), ("qi:X", false), ("other://x", false),
    ])
    func knowsLoopback(text: String, isLoopback: Bool) {
        #expect(Endpoint(text)?.isLoopback == isLoopback)
    }

    @Test func keepsItsText() {
        #expect(Endpoint("127.0.0.1:1")?.text == "tcp://127.0.0.1:1")
        #expect(Endpoint("unix:///x")?.text == "unix:///x")
    }

    @Test(arguments: [
        ("robot.local", "tcp://robot.local:9559"), ("robot.local:9600", "tcp://robot.local:9600"), ("tcp://robot.local", "tcp://robot.local:9559"),
        ("tcp://robot.local:9600/", "tcp://robot.local:9600"), ("tcp://robot.local//", "tcp://robot.local:9559"), ("localhost", "tcp://localhost:9559"),
        ("TCP://H:1", "tcp://H:1"), ("tcps://h", "tcps://h:9503"), ("tcpsm://h/", "tcpsm://h:9503"), ("  10.0.0.5\n", "tcp://10.0.0.5:9559"),
        ("::1", "tcp://[::1]:9559"), ("[::1]", "tcp://[::1]:9559"), ("[::1]:1", "tcp://[::1]:1"), ("tcp://::1", "tcp://[::1]:9559"),
        ("fe80::1%eth0", "tcp://[fe80::1%eth0]:9559"), ("tcp://h:0", "tcp://h:0"), ("/run/sd.sock", "unix:/run/sd.sock"),
        ("unix:///run/sd.sock", "unix:/run/sd.sock"), ("unix:/run/sd.sock/", "unix:/run/sd.sock"),
    ])
    func takesWhatPeopleType(_ typed: String, _ text: String) { #expect(Endpoint.typed(typed)?.text == text) }

    @Test(arguments: [
        "", " ", "/" + String(repeating: "x", count: 200), "tcp://", "tcp:///", "h:", "h:x", "h:+1", "h:65536", ":1", "a@h:1", "h/path", "tcp://h/path",
        "http://h", "qi:Name", "unix:relative", "1:2:3", "[::1", "[::1]x", "[::1]:", "h\u{e9}", "tcp://h:1?x",
    ])
    func refusesWhatIsTypedWrong(_ typed: String) { #expect(Endpoint.typed(typed) == nil) }

    @Test(arguments: [
        ("tcp://x", true), ("unix:/x", true), ("/x", true), ("10.0.0.5", true), ("::1", true), ("localhost", true), ("h:1", true), ("h:1/", true),
        ("h", false), ("h.local", false), ("a@h", false), ("a@h:1", false), ("a/b", false), ("", false), ("say::(s)", false),
    ])
    func tellsAddressesFromNames(_ text: String, _ isAddress: Bool) { #expect(Endpoint.isAddress(text) == isAddress) }
}
