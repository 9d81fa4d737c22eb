import Glibc
import Logging
import QiMessaging
import Testing

@testable import QiMesh

@Suite struct GatewayConfigurationTests {
    private func parse(_ text: String) throws -> MeshConfiguration {
        try MeshConfiguration.parse(text, path: "qimesh.yaml", directory: "/etc/qimesh", home: "/home/op")
    }

    @Test func readsEveryKey() throws {
        let gateway = try #require(
            try parse(
                """
                gateway:
                  listen: ["tcps://0.0.0.0:9503", "tcpsm://[::]:9504", "tcp://10.0.0.5:9559"]
                  advertise: ["tcps://pepper.lab.example:9503"]
                  certificate: tls/cert.pem
                  key: /etc/qimesh/tls/key.pem
                  trust: ~/ca.pem
                  naoqi: tcp://127.0.0.1:9557
                  allow-plain: true
                  anonymous: true
                  users: users
                  zone: lan
                  separate: true
                  return-time: 2m
                  connections: 50
                  connections-per-address: 10
                internal:
                  interfaces: [lo, eth1]
                """
            ).gateway)
        #expect(gateway.listen == ["tcps://0.0.0.0:9503", "tcpsm://[::]:9504", "tcp://10.0.0.5:9559"])
        #expect(gateway.advertise == ["tcps://pepper.lab.example:9503"])
        #expect(gateway.certificate == "/etc/qimesh/tls/cert.pem" && gateway.key == "/etc/qimesh/tls/key.pem")
        #expect(gateway.trust == "/home/op/ca.pem" && gateway.users == "/etc/qimesh/users")
        #expect(gateway.naoqi == "tcp://127.0.0.1:9557" && gateway.zone == .lan)
        #expect(gateway.allowsPlain && gateway.admitsAnonymous && gateway.isSeparate)
        #expect(gateway.returnTime == .seconds(120) && gateway.connections == 50 && gateway.connectionsPerAddress == 10)
    }

    @Test func whoseProgramsMayUseTheInternalPort() throws {
        func users(_ text: String) throws -> InternalUsers { try parse("internal: { users: \(text) }\n").internal.users }
        #expect(try parse("internal: { listen: [\"tcp://127.0.0.1:0\"] }\n").internal.users == .own)
        #expect(try users("own") == .own && users("all") == .all)
        #expect(try users("[lab, 1001]") == .these(["lab", "1001"]))
        #expect(try InternalUsers.own.resolved() == .own && InternalUsers.all.resolved() == nil)
        #expect(try InternalUsers.these(["root", "4711"]).resolved() == .these([0, 4711, geteuid()]))
        let none = #expect(throws: MeshError.self) { try InternalUsers.these(["no-such-user"]).resolved() }
        #expect(none?.message == "internal.users: there is no user no-such-user on this machine")
        for wrong in ["lab", "[]", "[\"a b\"]", "[\"\"]"] {
            let error = #expect(throws: MeshError.self, "\(wrong)") { try users(wrong) }
            #expect(error?.message.hasPrefix("qimesh.yaml:1: internal.users: ") == true, "\(error?.message ?? "")")
        }
    }

    @Test func nothingIsOpenUnlessItIsSaid() throws {
        #expect(try parse("device: { name: x }\n").gateway == nil)
        let gateway = try #require(try parse("gateway: { listen: [\"tcps://0.0.0.0:9503\"] }\n").gateway)
        #expect(!gateway.allowsPlain && !gateway.admitsAnonymous && !gateway.isSeparate)
        #expect(gateway.certificate == nil && gateway.naoqi == nil && gateway.zone == nil && gateway.advertise.isEmpty)
    }

    static let mistakes: [(text: String, message: String)] = [
        ("gateway: {}\n", #"qimesh.yaml:1: gateway: a gateway needs an address: listen: ["tcps://0.0.0.0:9503"]"#),
        (
            "gateway:\n  listen: [\"tcp://0.0.0.0:9559\"]\n",
            #"qimesh.yaml:2: gateway.listen[0]: nothing on "tcp://0.0.0.0:9559" is encrypted; use tcps://HOST:PORT, or say allow-plain: true"#
        ),
        (
            "gateway:\n  listen: [\"tcpsm://0.0.0.0:9504\"]\n",
            #"qimesh.yaml:2: gateway.listen[0]: "tcpsm://0.0.0.0:9504" needs to know which certificates are good: trust: FILE"#
        ),
        (
            "gateway:\n  listen: [\"unix:/run/door\"]\n",
            #"qimesh.yaml:2: gateway.listen[0]: "unix:/run/door" must name host and port: tcps://HOST:PORT"#
        ),
        (
            "gateway:\n  listen: [\"0.0.0.0:9503\"]\n",
            #"qimesh.yaml:2: gateway.listen[0]: "0.0.0.0:9503" must name host and port: tcps://HOST:PORT"#
        ),
        (
            "gateway:\n  listen: [\"tcps://0.0.0.0:1\"]\n  advertise: [\"tcps://127.0.0.1:1\"]\n",
            #"qimesh.yaml:3: gateway.advertise[0]: "tcps://127.0.0.1:1" leads nobody outside here"#
        ),
        (
            "gateway:\n  listen: [\"tcps://0.0.0.0:1\"]\n  advertise: [\"tcps://0.0.0.0:1\"]\n",
            #"qimesh.yaml:3: gateway.advertise[0]: "tcps://0.0.0.0:1" leads nobody outside here"#
        ),
        (
            "gateway:\n  listen: [\"tcps://0.0.0.0:1\"]\n  key: k.pem\n",
            "qimesh.yaml:3: gateway.key: certificate and key have to be given both, or neither"
        ),
        (
            "gateway:\n  listen: [\"tcps://0.0.0.0:1\"]\n  naoqi: 127.0.0.1:x\n",
            #"qimesh.yaml:3: gateway.naoqi: "127.0.0.1:x" must name host and port of a NAOqi directory: tcp://HOST:PORT"#
        ),
        (
            "gateway:\n  listen: [\"tcps://0.0.0.0:1\"]\n  zone: internal\n",
            #"qimesh.yaml:3: gateway.zone: "internal" is not lan or internet; without this line the peer's address decides"#
        ),
        (
            "gateway:\n  listen: [\"tcps://0.0.0.0:1\"]\n  insecure: true\n",
            "qimesh.yaml:3: gateway.insecure: say what is insecure: allow-plain: true lets it listen at tcp://, anonymous: true lets everybody in"
        ),
        (
            "gateway:\n  listen: [\"tcps://0.0.0.0:1\"]\n  connections: 0\n",
            "qimesh.yaml:3: gateway.connections: 0 is not between 1 and 65536"
        ),
        ("internal:\n  interfaces: []\n", "qimesh.yaml:2: internal.interfaces: there is no interface in this list, not even lo"),
        ("internal:\n  interfaces: [a/b]\n", #"qimesh.yaml:2: internal.interfaces[0]: "a/b" is no name of a network interface, such as eth0"#),
    ]

    @Test(arguments: mistakes)
    func mistakesNameFileAndLine(text: String, message: String) {
        let error = #expect(throws: MeshError.self) { try parse(text) }
        #expect(error?.code == .configuration && error?.message == message, "\(error?.message ?? "no error")")
    }

    /// What the door is opened with.
    @Test func options() throws {
        try withTemporaryDirectory { directory in
            let paths = try MeshPaths(environment: ["HOME": directory, "XDG_STATE_HOME": directory, "XDG_RUNTIME_DIR": directory])
            try paths.prepareDirectories()
            var configuration = try parse("gateway: { listen: [\"tcps://0.0.0.0:9503\"], connections: 7 }\n")
            configuration.internal.machineID = .literal("here")
            func options() throws -> TCPGateway.Options {
                try GatewayService(configuration: configuration, paths: paths, access: nil, logger: Logger(label: "test")).options()
            }
            let own = try options()
            #expect(own.directory.text == "unix:\(paths.directorySocket)" && own.machineID == "here")
            #expect(own.rules.limits.maximumConnections == 7 && own.rules.authentication?.admitsAnonymous == false)
            #expect(own.tls.identity != nil && own.tls.trust == nil && !own.allowsPlain)
            #expect(try permissions(paths.stateDirectory + "/gateway.pem") == 0o600)
            configuration.gateway?.naoqi = "tcp://127.0.0.1:9557"
            #expect(try options().directory.text == "tcp://127.0.0.1:9557")
            // A key that others can read is none.
            try write("x", to: directory + "/key.pem", mode: 0o644)
            configuration.gateway?.key = directory + "/key.pem"
            configuration.gateway?.certificate = directory + "/key.pem"
            let error = #expect(throws: MeshError.self) { try options() }
            #expect(error?.message.contains("can be read by other users") == true)
        }
    }
}
