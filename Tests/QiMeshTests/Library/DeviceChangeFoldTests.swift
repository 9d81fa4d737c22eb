import Synchronization
import Testing

@testable import QiMesh

/// What several looks at the devices tell a reader of `mesh.devices.changes`.
@Suite struct DeviceChangeFoldTests {
    private func fold(_ looks: [[(String, Device.State)]]) -> [[String]] {
        var fold = DeviceChangeFold<String>()
        return looks.map { look in
            fold.changes(to: look.map { (id: $0.0, state: $0.1, item: $0.0) }).map { "\($0.item) \($0.state.rawValue)" }
        }
    }

    @Test func whoIsThereAtFirstIsToldWhoIsNotIsNoNews() {
        #expect(fold([[("a", .online), ("b", .offline), ("c", .stale)]]) == [["a online", "c stale"]])
    }

    @Test func comingGoingAndFallingSilent() {
        #expect(
            fold([
                [("a", .offline)], [("a", .online)], [("a", .online)], [("a", .stale)], [("a", .online)], [("a", .offline)], [("a", .offline)],
            ]) == [[], ["a online"], [], ["a stale"], ["a online"], ["a offline"], []])
    }

    @Test func aContactThatIsRemovedWent() {
        #expect(fold([[("a", .online), ("b", .offline)], []]) == [["a online"], ["a offline"]])
    }

    @Test func severalChangesKeepTheOrderOfTheList() {
        #expect(
            fold([[("b", .online)], [("a", .online), ("b", .stale), ("c", .online)], [("c", .online)]])
                == [["b online"], ["a online", "b stale", "c online"], ["a offline", "b offline"]])
    }
}

@Suite(.timeLimit(.minutes(8))) struct PeerObserversTests {
    @Test func oneElementNowAndOneForAnyNumberOfChanges() async {
        let observers = PeerObservers()
        var changes = observers.changes().makeAsyncIterator()
        #expect(await changes.next() != nil)
        for _ in 0..<1_000 { observers.notify() }
        #expect(await changes.next() != nil)
        observers.finish()
        #expect(await changes.next() == nil)
    }

    @Test func itIsWatchedAsLongAsOneOfThemWatches() async {
        let calls = Mutex(0)
        let observers = PeerObservers { calls.withLock { $0 += 1 } }
        let other = observers.changes()
        #expect(!observers.isWatched)
        do {
            var watching = observers.changes(watches: true).makeAsyncIterator()
            #expect(await watching.next() != nil)
            #expect(observers.isWatched && calls.withLock { $0 } == 1)
        }
        #expect(!observers.isWatched)
        withExtendedLifetime(other) {}
    }

    @Test func itsVersionCountsTheChanges() {
        let observers = PeerObservers()
        #expect(observers.version == 0)
        observers.notify()
        observers.notify()
        #expect(observers.version == 2)
    }

    @Test func finishedObserversTellThatOnce() async {
        let observers = PeerObservers()
        observers.finish()
        var changes = observers.changes().makeAsyncIterator()
        #expect(await changes.next() != nil)
        #expect(await changes.next() == nil)
    }
}
