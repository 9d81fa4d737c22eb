import Foundation
import Logging
import NIOPosix
import QiMessaging

/// A call on this machine over TCP: ours against libqi, and each with the other.
enum LocalBenchmark {
    static func run(count: Int) async throws -> [String] {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: Logger(label: "benchmark"))
        var options = Session.Options()
        options.machineID = try MachineID.loadOrCreate(home: NSHomeDirectory())
        let server = try await DirectoryServer.make(on: loop, machineID: options.machineID ?? "")
        guard let any = Endpoint("tcp://127.0.0.1:0") else { throw BenchmarkFailure("no endpoint") }
        let listener = try await server.listen(at: any)
        let url = listener.endpoint.text

        let peer = try PythonPeer(["service", url])
        defer { peer.end() }
        _ = try peer.line(beginning: "ready")
        let libqi = try python(url, count)
        let host = try await Session.connect(url, options: options)
        let client = try await Session.connect(url, options: options)
        let toLibqi = try await measure(client.service("Echo"), count)

        var echo = ObjectBuilder()
        echo.advertiseMethod("echo", "(s)", returns: "s") { arguments, _ in arguments[0] }
        _ = try await host.register(echo, as: "SwiftEcho")
        let ours = try await measure(client.service("SwiftEcho"), count)
        await client.close()
        await host.close()
        await listener.close()
        await loop.shutDown()
        return [
            libqi.row("libqi client, libqi service (TCP)", against: nil),
            toLibqi.row("Swift client, libqi service", against: libqi),
            ours.row("Swift client, Swift service", against: libqi),
        ]
    }

    static func measure(_ echo: ObjectProxy, _ count: Int) async throws -> Samples {
        try await Samples.measure(count) {
            _ = try await echo.call("echo", arguments: [.string("0123456789abcdef")])
        }
    }

    private static func python(_ url: String, _ count: Int) throws -> Samples {
        let peer = try PythonPeer(["client", url, "\(count)"])
        defer { peer.end() }
        let mark = "samples "
        let list = try peer.line(beginning: mark).dropFirst(mark.count)
        return Samples(try JSONDecoder().decode([Double].self, from: Data(list.utf8)))
    }
}
