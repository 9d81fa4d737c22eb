import Foundation
import Logging
import NIOPosix
import QiMessaging
import QiWire

/// A directory of this process, its services under test, at the endpoints named. Ends with its standard input.
///
/// Arguments: a certificate and a key, PEM files, for `tcps` endpoints; the endpoints.
enum Serving {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count > 2 else { throw BenchmarkFailure("usage: serve CERTIFICATE KEY ENDPOINT…") }
        let tls = TLSOptions(identity: .init(certificates: [.file(arguments[0])], privateKey: .file(arguments[1])))
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: Logger(label: "benchmark", level: .error))
        let server = try await DirectoryServer.make(on: loop, machineID: BenchmarkMachine.id)
        var endpoints: [String] = []
        var listeners: [Listener] = []
        for text in arguments.dropFirst(2) {
            guard let endpoint = Endpoint(text) else { throw BenchmarkFailure("\(text) is no endpoint") }
            let listener = try await server.listen(at: endpoint, tls: tls)
            listeners.append(listener)
            endpoints.append(listener.endpoint.text)
        }
        for (name, object) in EchoService.all { _ = try await server.register(object, as: name) }
        report("ready", "{\"endpoints\": [\(endpoints.map { "\"\($0)\"" }.joined(separator: ", "))]}")
        try await standardInputEnds()
        for listener in listeners { await listener.close() }
        await loop.shutDown()
    }

    /// On a thread of its own: one of the pool's would be missed in the measurement.
    static func standardInputEnds() async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            Thread.detachNewThread { continuation.resume(with: Result { _ = try FileHandle.standardInput.readToEnd() }) }
        }
    }
}

/// Both ends go by one machine id, so that loopback endpoints are offered.
enum BenchmarkMachine {
    static let id = "benchmark"

    static var options: Session.Options {
        var options = Session.Options()
        options.machineID = id
        options.logger = Logger(label: "benchmark", level: .error)
        return options
    }
}

extension Logger {
    init(label: String, level: Level) {
        self.init(label: label)
        logLevel = level
    }
}
