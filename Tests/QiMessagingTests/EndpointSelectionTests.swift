@testable import QiMessaging
import QiWire
import Testing

struct EndpointSelectionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        var machine = "here"
        var mutual = false
        var endpoints: [String]
        let choice: [String]?
        var testDescription: String { name }
    }

    /// For a client on "here" whose directory is "there", reached as tcp://10.0.0.1:9559; nil: over the directory's connection.
    @Test(arguments: [
        Case(name: "nothing", endpoints: [], choice: []),
        Case(name: "loopback of this machine", endpoints: ["tcp://127.0.0.1:1"], choice: ["tcp://127.0.0.1:1"]),
        Case(name: "loopback of another", machine: "elsewhere", endpoints: ["tcp://127.0.0.1:1"], choice: []),
        Case(name: "a network address", machine: "elsewhere", endpoints: ["tcp://127.0.0.1:1", "tcp://10.0.0.2:1"], choice: ["tcp://10.0.0.2:1"]),
        Case(
            name: "nearest first", endpoints: ["tcp://10.0.0.2:1", "tcp://127.0.0.1:1", "unix:/s"],
            choice: ["unix:/s", "tcp://127.0.0.1:1", "tcp://10.0.0.2:1"]),
        Case(name: "a unix socket elsewhere", machine: "elsewhere", endpoints: ["unix:/s"], choice: []),
        Case(name: "what cannot be dialled", endpoints: ["tcpsm://h:1", "qi:X", "foo://x", "rubbish"], choice: []),
        Case(name: "the same twice", endpoints: ["tcp://10.0.0.2:1", "tcp://10.0.0.2:1"], choice: ["tcp://10.0.0.2:1"]),
        Case(
            name: "clear on loopback, TLS elsewhere", mutual: true,
            endpoints: ["tcp://10.0.0.2:1", "tcps://10.0.0.2:2", "tcpsm://10.0.0.2:3", "tcpsm://[::1]:4", "tcps://localhost:5", "tcp://127.0.0.1:6"],
            choice: ["tcp://127.0.0.1:6", "tcpsm://[::1]:4", "tcps://localhost:5", "tcpsm://10.0.0.2:3", "tcps://10.0.0.2:2", "tcp://10.0.0.2:1"]),
        Case(
            name: "no mutual TLS without a certificate", machine: "elsewhere", endpoints: ["tcpsm://10.0.0.2:3", "tcps://10.0.0.2:2"],
            choice: ["tcps://10.0.0.2:2"]),
        Case(
            name: "loopback TLS of another", machine: "elsewhere", mutual: true,
            endpoints: ["tcps://127.0.0.1:1", "tcpsm://localhost:2", "tcps://127.1.2.3:4"], choice: []),
        Case(
            name: "a list without end", endpoints: (1...1000).map { "tcp://10.0.0.2:\($0)" },
            choice: (1...64).map { "tcp://10.0.0.2:\($0)" }),
        Case(
            // As libqi's directory lists a service of a process that has many.
            name: "behind the names of a hundred neighbours",
            endpoints: (1...100).map { "qi:Neighbour\($0)" } + ["tcp://127.0.0.1:1", "tcp://10.0.0.2:1"],
            choice: ["tcp://127.0.0.1:1", "tcp://10.0.0.2:1"]),
        Case(
            name: "behind many that cannot be used", machine: "elsewhere",
            endpoints: (1...100).map { "tcp://127.0.0.1:\($0)" } + Array(repeating: "tcp://10.0.0.2:1", count: 100) + ["tcp://10.0.0.3:1"],
            choice: ["tcp://10.0.0.2:1", "tcp://10.0.0.3:1"]),
        Case(name: "the directory's own", machine: "there", endpoints: ["qi:ServiceDirectory"], choice: nil),
        Case(name: "the directory's address", machine: "there", endpoints: ["tcp://10.0.0.1:9559"], choice: nil),
        Case(name: "relative, of another machine", machine: "elsewhere", endpoints: ["qi:ServiceDirectory"], choice: []),
        Case(name: "the directory's machine, another process", machine: "there", endpoints: ["tcp://10.0.0.1:4"], choice: ["tcp://10.0.0.1:4"]),
    ])
    func chooses(_ given: Case) {
        let info = ServiceInfo(
            name: "x", serviceID: 2, machineID: given.machine, processID: 1, endpoints: given.endpoints, sessionID: "s", objectUID: [])
        let mutual = TLSOptions(identity: .init(certificates: [.file("/c")], privateKey: .file("/k")), trust: .pinned([.file("/c")]))
        let transports = TransportSet(tls: given.mutual ? mutual : TLSOptions())
        let choice = EndpointSelection.choose(
            for: info, machineID: "here", directoryMachineID: "there", directoryEndpoint: "tcp://10.0.0.1:9559",
            rank: transports.rank(of:))
        #expect(choice == given.choice.map { .dial($0.compactMap(Endpoint.init)) } ?? .directoryConnection)
    }
}
