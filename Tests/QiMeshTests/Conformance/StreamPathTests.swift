import Foundation
import NIOCore
import QiMeshTesting
import Synchronization
import Testing

@testable import QiMesh
@testable import QiMessaging

/// Device streams on paths as they are in life (``LivePaths``): on each kind, and on paths that change every 200 ms, that go silent, and
/// that are cut in the middle of a frame.
///
/// Short by default; the long form is `STREAM_CALLS=10000 swift test --filter StreamPathTests`, which also runs the suite
/// of ``TransportConformance`` on each kind of path.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct StreamPathTests {
    private static let wanted = ProcessInfo.processInfo.environment["STREAM_CALLS"].flatMap(UInt32.init)
    private static let kinds: [LivePaths.Kind] = [.inBand, .direct, .proxy]
    private static let address = "paths://desk"
    /// A path is noticed to be dead in a second.
    private static let impatient = StreamLiveness.Times(death: .seconds(1), question: .milliseconds(300), idle: .seconds(1))

    private static func traffic(of reply: Int = 4 << 20) -> StreamTraffic { StreamTraffic(calls: wanted ?? 1000, reply: reply) }

    @Test(.enabled(if: wanted != nil, "the long form: STREAM_CALLS=10000"), arguments: kinds, TransportConformance.cases)
    func suiteOnOneKindOfPath(_ kind: LivePaths.Kind, _ given: TransportConformance.Case) async throws {
        try await LivePaths.with { paths in
            try await given.run(over: .endpoint(Self.address, transport: PathTransport(paths, [kind])))
            #expect(paths.record.withLock { $0.failures } == [])
        }
    }

    @Test(arguments: TransportConformance.cases.filter { wanted != nil || !$0.name.contains("8 MiB") })
    func suiteOnPathsThatChange(_ given: TransportConformance.Case) async throws {
        try await LivePaths.with { paths in
            try await given.run(
                over: .endpoint(Self.address, transport: PathTransport(paths, Self.kinds, moves: .milliseconds(200))))
            #expect(paths.record.withLock { $0.failures } == [])
        }
    }

    @Test func everythingComesOnceAndInOrderWhilePathsChange() async throws {
        try await LivePaths.with { paths in
            try await Self.traffic().run(over: Self.address, PathTransport(paths, Self.kinds, moves: .milliseconds(200)))
            let record = paths.record.withLock { $0 }
            #expect(record.failures == [])
            for kind in Self.kinds { #expect(record.taken[kind, default: 0] >= 2, "\(record)") }
            Self.checkBounds(record)
        }
    }

    @Test func everythingComesOnceAndInOrderWhilePathsGoSilent() async throws {
        try await LivePaths.with { paths in
            try await Self.traffic().run(
                over: Self.address,
                PathTransport(paths, Self.kinds, moves: .milliseconds(200), harms: [.silence], liveness: Self.impatient))
            let record = paths.record.withLock { $0 }
            #expect(record.harmed >= 1, "\(record)")
            Self.checkBounds(record)
        }
    }

    @Test func everythingComesOnceAndInOrderWhilePathsAreCutInTheMiddleOfAFrame() async throws {
        try await LivePaths.with { paths in
            try await Self.traffic().run(
                over: Self.address,
                PathTransport(paths, Self.kinds, moves: .milliseconds(200), harms: [.cutInbound, .cutOutbound], liveness: Self.impatient))
            let record = paths.record.withLock { $0 }
            #expect(record.harmed >= 2, "\(record)")
            Self.checkBounds(record)
        }
    }

    @Test(arguments: PathLie.allCases) func anAddressThatLiesIsNoPathAndTheOneInUseGoesOn(_ lie: PathLie) async throws {
        try await LivePaths.with(liar: lie) { paths in
            let kinds: [LivePaths.Kind] = [.inBand, .direct]
            try await StreamTraffic(calls: 1000, reply: 1 << 20).run(
                over: Self.address, PathTransport(paths, kinds, moves: .milliseconds(200)))
            let record = paths.record.withLock { $0 }
            #expect(record.taken[.direct] == nil && record.taken[.inBand, default: 0] >= 1, "\(record)")
            // An address that says nothing is tried for 20 s.
            #expect(record.failures.isEmpty == (lie == .nothing), "\(record)")
        }
    }

    /// What the two sides of a stream keep is bounded by the window, and by the one long message that is on its way.
    private static func checkBounds(_ record: LivePaths.Record) {
        let window = StreamReceiver.Limits().window
        if wanted != nil { print("streams: \(record)") }
        #expect(record.mostKept <= window + StreamFrameCoding.header + StreamFrameCoding.maximumBody, "\(record)")
        #expect(record.mostHeld <= (4 << 20) + 1024 + 2 * window, "\(record)")
    }
}
