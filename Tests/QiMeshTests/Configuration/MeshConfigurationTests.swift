import Foundation
import Logging
import QiMessaging
import Testing

@testable import QiMesh

@Suite struct MeshConfigurationTests {
    private func parse(_ text: String) throws -> MeshConfiguration {
        try MeshConfiguration.parse(text, path: "qimesh.yaml", directory: "/etc/qimesh", home: "/home/op")
    }

    @Test func readsEveryKey() throws {
        let configuration = try parse(
            """
            device:
              name: pepper
              model: Pepper 1.8
              role: member
              directory: tcp://10.0.1.1:9559
            internal:
              listen: ["unix:/run/qimesh/sd.sock", "tcp://127.0.0.1:9559", "tcp://[::1]:0"]
              machine-id: file:/var/lib/id
            xmpp:
              - jid: pepper@robots.example
                password-file: pepper.pw
                resource: body
                server: 127.0.0.1:5222
                direct-tls: yes
                ca-file: ~/ca.pem
                accept: ["*@robots.example", OP@lab.example]
              - jid: second@robots.example
            paths: { order: [proxy, in-band], resume: 5m, return-time: 90s, in-band-max: 1MB, interfaces: [eth0], internal: true }
            limits: { calls-per-peer: 7, payload: 1MB, path-loss: 2m, stop: 0s }
            log: { level: debug }
            """)
        #expect(
            configuration.device
                == .init(name: "pepper", model: "Pepper 1.8", role: .member, directory: "tcp://10.0.1.1:9559"))
        #expect(configuration.internal.listen == ["unix:/run/qimesh/sd.sock", "tcp://127.0.0.1:9559", "tcp://[::1]:0"])
        #expect(configuration.internal.machineID == .file("/var/lib/id"))
        let account = try #require(configuration.xmpp.first)
        #expect(account.jid == "pepper@robots.example")
        #expect(account.passwordFile == "/etc/qimesh/pepper.pw")
        #expect(account.resource == "body")
        #expect(account.server == HostPort("127.0.0.1:5222"))
        #expect(account.directTLS)
        #expect(account.caFile == "/home/op/ca.pem")
        #expect(account.accept.map(\.description) == ["*@robots.example", "op@lab.example"])
        #expect(configuration.passwordSource(of: account) == .file("/etc/qimesh/pepper.pw"))
        #expect(configuration.passwordSource(of: configuration.xmpp[1]) == .environment("QIMESH_XMPP_PASSWORD"))
        #expect(configuration.paths.order == [.proxy, .inBand] && configuration.paths.resume == .seconds(300))
        #expect(configuration.paths.returnTime == .seconds(90))
        #expect(configuration.paths.inBandMax == 1_000_000 && configuration.paths.interfaces == ["eth0"] && configuration.paths.reachesInternal)
        #expect(configuration.limits == .init(callsPerPeer: 7, payload: 1_000_000, pathLoss: .seconds(120), stop: .zero))
        #expect(configuration.log.level == .debug)
    }

    @Test func groupsHaveDevicesByNameOrAddressAndMethodsThatMayRunTwice() throws {
        let configuration = try parse(
            """
            groups:
              vision: [cloud-1, "Vision-*", "op@LAB.example"]
              speech: { devices: ["*@cloud.example"], idempotent: [Detector.detect, "Detector.get*"] }
            """)
        #expect(configuration.groups.map(\.name) == ["speech", "vision"])
        #expect(configuration.groups[0].idempotent.map(\.description) == ["Detector.detect", "Detector.get*"])
        func contact(_ jid: String, _ name: String?) -> Contact {
            Contact(account: "robot@lab.example", jid: jid, name: name, admission: .paired, since: Date())
        }
        let contacts = [
            contact("a@x.example", "cloud-1"), contact("b@x.example", "Vision-7"), contact("c@x.example", "vision-8"), contact("op@lab.example", nil),
            contact("cloud-1@x.example", nil), contact("d@cloud.example", nil),
        ]
        #expect(contacts.filter(configuration.groups[1].holds).map(\.jid) == ["a@x.example", "b@x.example", "op@lab.example"])
        #expect(contacts.filter(configuration.groups[0].holds).map(\.jid) == ["d@cloud.example"])
    }

    @Test(arguments: ["", "# nothing\n", "---\n", "device:\nxmpp:\nlimits: {}\n", "~\n"])
    func emptyMeansDefaults(_ text: String) throws {
        let configuration = try parse(text)
        #expect(configuration.device == .init())
        #expect(configuration.device.role == .master)
        #expect(configuration.xmpp.isEmpty)
        #expect(configuration.limits == .init(callsPerPeer: 1024, payload: 50_000_000, pathLoss: .seconds(30), stop: .seconds(5)))
        #expect(configuration.log.level == .info)
        #expect(configuration.internal.machineID == .automatic)
        let paths = try MeshPaths(environment: ["HOME": "/home/op", "XDG_RUNTIME_DIR": "/run/user/1"])
        #expect(configuration.listeners(paths: paths) == ["unix:/run/user/1/qimesh/sd.sock", "tcp://127.0.0.1:9559"])
    }

    /// Commands and the gateway find the directory by it, wherever else it listens.
    @Test(arguments: [
        ("internal:\n  listen: [\"tcp://127.0.0.1:1\"]\n", ["unix:/run/user/1/qimesh/sd.sock", "tcp://127.0.0.1:1"]),
        ("internal:\n  listen: []\n", ["unix:/run/user/1/qimesh/sd.sock"]),
        ("internal:\n  listen: [\"localhost/\", \"[::1]:1\"]\n", ["unix:/run/user/1/qimesh/sd.sock", "tcp://localhost:9559", "tcp://[::1]:1"]),
        ("internal:\n  listen: [\"unix:/x\"]\n", ["unix:/run/user/1/qimesh/sd.sock", "unix:/x"]),
        ("internal:\n  listen: [\"unix:///run/user/1/qimesh/sd.sock\"]\n", ["unix:/run/user/1/qimesh/sd.sock"]),
        ("internal:\n  unix-socket: false\n  listen: [\"tcp://127.0.0.1:1\"]\n", ["tcp://127.0.0.1:1"]),
        ("internal:\n  unix-socket: false\n", ["tcp://127.0.0.1:9559"]),
    ])
    func theUnixSocketIsThereUnlessASettingSaysOtherwise(_ text: String, _ listeners: [String]) throws {
        let paths = try MeshPaths(environment: ["HOME": "/home/op", "XDG_RUNTIME_DIR": "/run/user/1"])
        #expect(try parse(text).listeners(paths: paths) == listeners)
    }

    @Test func accountDefaults() throws {
        let account = try #require(try parse("xmpp:\n  - jid: a@b\n").xmpp.first)
        #expect(account == MeshConfiguration.Account(jid: "a@b"))
        #expect(account.resource == "qimesh")
        #expect(account.server == nil && account.caFile == nil && !account.directTLS && account.accept.isEmpty)
    }

    static let mistakes: [(text: String, message: String)] = [
        (
            "internal:\n  unix-socket: false\n  listen: []\n",
            "qimesh.yaml:3: internal.listen: without unix-socket there has to be an address in this list"
        ),
        // roles
        ("device:\n  role: slave\n", #"qimesh.yaml:2: device.role: "slave" is not one of master, member"#),
        ("device:\n  role: member\n", "qimesh.yaml:2: device.role: a member needs the master's address: directory: tcp://HOST:PORT"),
        (
            "device:\n  directory: tcp://10.0.1.1:9559\n",
            "qimesh.yaml:2: device.directory: only a member has another directory: add role: member, or remove this line"
        ),
        (
            "device:\n  role: member\n  directory: 10.0.1.1:x\n",
            #"qimesh.yaml:3: device.directory: "10.0.1.1:x" must name host and port: tcp://HOST:PORT"#
        ),
        // unknown keys
        ("devise:\n  name: x\n", #"qimesh.yaml:1: this version knows no key "devise" here; did you mean device?"#),
        ("device:\n  name: x\n  modle: y\n", #"qimesh.yaml:3: this version knows no key "modle" here; did you mean model?"#),
        (
            "device:\n  name: x\nmetrics: { listen: x }\n",
            #"qimesh.yaml:3: this version knows no key "metrics" here; known are device, internal, gateway, xmpp, policy, paths, groups, limits, log"#
        ),
        (
            "xmpp:\n  - jid: a@b\n    passwordfile: x\n",
            #"qimesh.yaml:3: this version knows no key "passwordfile" here; did you mean password-file?"#
        ),
        (
            "xmpp:\n  - jid: a@b\n    password: hunter2\n",
            "qimesh.yaml:3: xmpp[0].password: passwords are not kept in the configuration: put it into a file and name that as password-file"
        ),
        // values of the wrong kind
        ("device: pepper\n", #"qimesh.yaml:1: device: expected a mapping (lines of "key: value"), found "pepper""#),
        ("- device\n", #"qimesh.yaml:1: expected a mapping (lines of "key: value"), found a list"#),
        ("xmpp:\n  jid: a@b\n", "qimesh.yaml:1: xmpp: expected a list, found a mapping"),
        ("internal:\n  listen: tcp://x:1\n", #"qimesh.yaml:2: internal.listen: expected a list, found "tcp://x:1""#),
        ("device:\n\n  name: [a]\n", "qimesh.yaml:3: device.name: expected text, found a list"),
        ("limits:\n  calls-per-peer: many\n", #"qimesh.yaml:2: limits.calls-per-peer: expected a whole number, found "many""#),
        (
            "xmpp:\n- jid: a@b\n  direct-tls: maybe\n",
            #"qimesh.yaml:3: xmpp[0].direct-tls: expected true or false, found "maybe""#
        ),
        // values out of range
        ("groups:\n  vision: []\n", #"qimesh.yaml:2: groups.vision[0]: a group needs devices: [cloud-1, "vision-*", op@lab.example]"#),
        ("groups:\n  a/b: [x]\n", #"qimesh.yaml:2: groups.a/b: "a/b" cannot be the name of a group: a name has neither a slash nor a colon"#),
        ("groups:\n  a: [\"*@*lab.example\"]\n", #"qimesh.yaml:2: groups.a[0]: "*@*lab.example" is not a pattern such as op@lab.example, vision-*@lab.example or *@*.lab.example"#),
        ("groups:\n  a: { devices: [x], idempotent: [detect] }\n", #"qimesh.yaml:2: groups.a.idempotent[0]: "detect" is not one of at most 64 methods such as Detector.detect"#),
        ("groups:\n  a: { device: [x] }\n", #"qimesh.yaml:2: this version knows no key "device" here; did you mean devices?"#),
        ("limits:\n  calls-per-peer: 0\n", "qimesh.yaml:2: limits.calls-per-peer: 0 is not between 1 and 65536"),
        ("limits:\n  payload: 50\n", #"qimesh.yaml:2: limits.payload: "50" is not a size between 1kB and 2GB, such as 50MB"#),
        ("limits:\n  payload: 5 MB\n", #"qimesh.yaml:2: limits.payload: "5 MB" is not a size between 1kB and 2GB, such as 50MB"#),
        ("paths:\n  order: [fast, in-band]\n", #"qimesh.yaml:2: paths.order[0]: "fast" is not one of direct, proxy, in-band, each once"#),
        ("paths:\n  order: [in-band, direct]\n", "qimesh.yaml:2: paths.order: in-band has to be the last: the others are found by way of it"),
        ("paths:\n  order: []\n", "qimesh.yaml:2: paths.order: in-band has to be the last: the others are found by way of it"),
        ("limits:\n  stop: soon\n", #"qimesh.yaml:2: limits.stop: "soon" is not a time between 0s and 1h, such as 5s"#),
        ("limits:\n  path-loss: 30\n", #"qimesh.yaml:2: limits.path-loss: "30" is not a time between 1s and 1h, such as 30s"#),
        (
            "log:\n  level: verbose\n",
            #"qimesh.yaml:2: log.level: "verbose" is not one of trace, debug, info, notice, warning, error, critical"#
        ),
        ("device:\n  name: ''\n", "qimesh.yaml:2: device.name: name must not be empty"),
        ("device:\n  name: \"a\\nb\"\n", "qimesh.yaml:2: device.name: name holds a control character"),
        // accounts
        ("xmpp:\n  - resource: x\n", "qimesh.yaml:2: xmpp[0]: an account needs a jid"),
        ("xmpp:\n  - jid: pepper\n", #"qimesh.yaml:2: xmpp[0].jid: "pepper" is not an account of the form name@server"#),
        (
            "xmpp:\n  - jid: a@b/c\n",
            #"qimesh.yaml:2: xmpp[0].jid: "a@b/c" is not an account of the form name@server; the part after the / belongs into resource"#
        ),
        ("xmpp:\n  - jid: a@b\n    server: b\n", #"qimesh.yaml:3: xmpp[0].server: "b" is not of the form HOST:PORT"#),
        (
            "xmpp:\n  - jid: a@b\n    accept:\n      - c@d\n      - '*'\n",
            #"qimesh.yaml:5: xmpp[0].accept[1]: "*" is not a pattern such as op@lab.example, *@lab.example or *@*.lab.example"#
        ),
        ("xmpp:\n  - jid: a@b\n    password-file: x\n  - jid: a@b\n", "qimesh.yaml:4: xmpp[1]: the account a@b is listed twice"),
        (
            "xmpp:\n  - jid: a@b\n  - jid: c@d\n",
            "qimesh.yaml:1: xmpp: 2 accounts have no password-file, but QIMESH_XMPP_PASSWORD can serve only one of them"
        ),
        // listeners
        (
            "internal:\n  listen: [\"http://x\"]\n",
            #"qimesh.yaml:2: internal.listen[0]: "http://x" is neither unix:/PATH nor tcp://HOST:PORT"#
        ),
        (
            "internal:\n  listen: [\"tcp://x:y\"]\n",
            #"qimesh.yaml:2: internal.listen[0]: "tcp://x:y" must name host and port: tcp://HOST:PORT"#
        ),
        (
            "internal:\n  listen: [\"unix:sd\"]\n",
            #"qimesh.yaml:2: internal.listen[0]: "unix:sd" must name an absolute path: unix:/PATH"#
        ),
        (
            "internal:\n  machine-id: a b\n",
            #"qimesh.yaml:2: internal.machine-id: "a b" is not auto, systemd, file:/PATH or an identifier of 1 to 64 letters, digits and dashes"#
        ),
        // YAML itself
        ("device:\n  name: x\n  name: y\n", #"qimesh.yaml:2: "name" is given twice"#),
        ("device: [a\nlog: {}\n", "qimesh.yaml:2: this is not YAML"),
        ("device:\n\tname: x\n", "qimesh.yaml:2: this is not YAML"),
    ]

    @Test(arguments: mistakes)
    func mistakesNameFileAndLine(text: String, message: String) {
        let error = #expect(throws: MeshError.self) { try parse(text) }
        #expect(error?.code == .configuration)
        #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "no error")")
        #expect(error?.message.contains("hunter2") == false)
        #expect(error?.detailedDescription().contains("hunter2") == false)
    }

    @Test func aLongSocketPathIsRefused() {
        let path = "/" + String(repeating: "x", count: 107)
        let error = #expect(throws: MeshError.self) { try parse("internal:\n  listen: [\"unix:\(path)\"]\n") }
        #expect(error?.message.contains("takes at most 107") == true)
    }

    @Test func deepNestingIsAnErrorAndNoCrash() {
        let error = #expect(throws: MeshError.self) { try parse(String(repeating: "[", count: 500_000)) }
        #expect(error?.code == .configuration)
        #expect(throws: MeshError.self) { try parse(String(repeating: "[", count: 900) + String(repeating: "]", count: 900)) }
    }

    @Test func loadsFromAFileWithPathsRelativeToIt() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/qimesh.yaml"
            try write("xmpp:\n  - { jid: a@b, password-file: secrets/a.pw }\n", to: path, mode: 0o644)
            #expect(try MeshConfiguration.load(path).xmpp.first?.passwordFile == directory + "/secrets/a.pw")
        }
    }

    @Test func aMissingFileIsAnErrorOnlyWhenNamed() throws {
        try withTemporaryDirectory { directory in
            let error = #expect(throws: MeshError.self) { try MeshConfiguration.load(directory + "/none.yaml") }
            #expect(error?.message == "there is no configuration file \(directory)/none.yaml")
            var paths = try MeshPaths(environment: ["HOME": directory])
            paths.configurationCandidates = [directory + "/none.yaml"]
            #expect(try MeshConfiguration.load(paths: paths).xmpp.isEmpty)
            let named = try MeshPaths(environment: ["HOME": directory], configuration: directory + "/none.yaml")
            #expect(throws: MeshError.self) { try MeshConfiguration.load(paths: named) }
        }
    }

    @Test func refusesWhatIsNoTextAndWhatIsHuge() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/qimesh.yaml"
            try Data([0x64, 0xff, 0xfe]).write(to: URL(fileURLWithPath: path))
            #expect(throws: MeshError.self) { try MeshConfiguration.load(path) }
            try write(String(repeating: "#", count: (1 << 20) + 1), to: path)
            let error = #expect(throws: MeshError.self) { try MeshConfiguration.load(path) }
            #expect(error?.message.contains("larger than 1048576 bytes") == true)
        }
    }
}
