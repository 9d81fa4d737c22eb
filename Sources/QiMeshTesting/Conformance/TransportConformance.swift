import NIOCore
import NIOPosix
public import QiMessaging
import QiWire
import Logging

/// What every transport has to do, as a suite that any of them runs unchanged:
///
///     @Test(arguments: TransportConformance.cases)
///     func tcp(_ given: TransportConformance.Case) async throws { try await given.run(over: .endpoint("tcp://127.0.0.1:0")) }
///
/// A case throws a ``ConformanceFailure`` that says what was not as it has to be.
public enum TransportConformance {
    /// One thing that a transport has to do.
    public struct Case: Sendable, CustomStringConvertible {
        public let name: String
        /// Whether it looks at the channel itself, which calls within a process do not have.
        public let needsChannel: Bool
        let body: @Sendable (ConformancePeers) async throws -> Void

        public var description: String { name }

        /// Runs it with a service and a client of its own.
        public func run(over subject: Subject) async throws {
            try await subject.withPeers(body)
        }
    }

    /// A transport to examine: how a client gets to a service over it.
    public struct Subject: Sendable {
        let withPeers: @Sendable (@Sendable (ConformancePeers) async throws -> Void) async throws -> Void

        /// Any way to bring the two together: for one that is no ``Transport``.
        public init(_ withPeers: @escaping @Sendable (@Sendable (ConformancePeers) async throws -> Void) async throws -> Void) {
            self.withPeers = withPeers
        }

        /// A directory that listens at `address`, and a session that connects to it.
        ///
        /// - Parameters:
        ///   - server, client: what the two sides need for TLS.
        ///   - transport: what serves the scheme, when it is not one of ``SocketTransport``.
        public static func endpoint(
            _ address: String, server: TLSOptions = TLSOptions(), client: TLSOptions = TLSOptions(), transport: (any Transport)? = nil
        ) -> Subject {
            Subject { body in
                try await ConformancePeers.withDirectory(
                    at: address, server: server, client: client, transport: transport, body)
            }
        }

        /// A service and its client in one session: calls within the process.
        public static let inProcess = Subject { body in try await ConformancePeers.withOneSession(body) }
    }

    /// All cases.
    public static let cases: [Case] = callCases + channelCases
    /// Those that calls within a process can run.
    public static let callCases: [Case] = [
        Case(name: "opens and authenticates", needsChannel: false, body: opens),
        Case(name: "echoes every size", needsChannel: false, body: echoes),
        Case(name: "carries 8 MiB and 10 MiB, many times", needsChannel: false, body: bigFrames),
        Case(name: "ends calls in flight when the other side is lost", needsChannel: false, body: loss),
        Case(name: "cancels a call", needsChannel: false, body: cancels),
        Case(name: "carries 1000 calls at once", needsChannel: false, body: parallelCalls),
        Case(name: "keeps events in order", needsChannel: false, body: events),
        Case(name: "passes objects, and releases them", needsChannel: false, body: objects),
    ]
    static let channelCases: [Case] = [
        Case(name: "ends both directions when one is closed", needsChannel: true, body: halfClose),
        Case(name: "does not read from who does not read", needsChannel: true, body: backPressure),
        Case(name: "ends the calls of a peer that vanishes", needsChannel: true, body: vanishes),
        Case(name: "refuses a frame that is too big", needsChannel: true, body: oversize),
    ]

    static func expect(_ condition: Bool, _ what: @autoclosure () -> String) throws {
        if !condition { throw ConformanceFailure(what()) }
    }
}

/// What a transport did not do as it has to.
public struct ConformanceFailure: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
