@testable import QiMessaging
import Synchronization
import Testing

/// Who in this process hears which services there are.
@Suite(.timeLimit(.minutes(8)))
struct ServicesObservationTests {
    private final class Listener: Sendable {
        private let heard = Mutex<[[String]]>([])
        func hear(_ names: [String]) { heard.withLock { $0.append(names) } }
        var last: [String]? { heard.withLock { $0.last } }
        var count: Int { heard.withLock { $0.count } }
    }

    /// An account that is taken out of the configuration leaves nothing behind, however often that happens.
    @Test func oneThatLeavesHearsNothingMoreAndIsReleased() async throws {
        try await withDirectory { directory, _ in
            let staying = Listener()
            let stays = directory.onServicesChanged { staying.hear($0) }
            weak var kept: Listener?
            do {
                let leaving = Listener()
                kept = leaving
                let observation = directory.onServicesChanged { leaving.hear($0) }
                let first = try await directory.register(ProbeTests.probeObject(), as: "First")
                #expect(leaving.last?.contains("First") == true)
                directory.stopObserving(observation)
                // The same again is nothing new.
                directory.stopObserving(observation)
                _ = try await directory.services()
                let count = leaving.count
                try await directory.unregister(first)
                #expect(leaving.count == count)
            }
            _ = try await directory.services()
            #expect(kept == nil)
            #expect(staying.last?.contains("First") == false)
            _ = try await directory.register(ProbeTests.probeObject(), as: "Second")
            #expect(staying.last?.contains("Second") == true)
            directory.stopObserving(stays)
        }
    }
}
