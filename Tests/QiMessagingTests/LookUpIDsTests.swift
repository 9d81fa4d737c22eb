@testable import QiMessaging
import Testing

struct LookUpIDsTests {
    /// libqi keeps the id of a service in an `int`: a client that holds an object of one from 2^31 on crashes at its end.
    @Test func allLieBelowWhatLibqiCanHoldAndBehindTheRegistered() {
        #expect(ServiceIDs.end == 1 << 30 && LookUpIDs.first == ServiceIDs.end && LookUpIDs.end == 1 << 31)
        var ids = LookUpIDs()
        let (looked, hidden) = (ids.id(of: "a"), ids.takeHidden())
        #expect(looked == 1 << 30 && hidden == LookUpIDs.firstHidden)
    }

    @Test func aNameKeepsItsIDUntilItMeansAnother() {
        var ids = LookUpIDs()
        let first = ids.id(of: "a")
        let other = ids.id(of: "b")
        let again = ids.id(of: "a")
        #expect(first == again && first != other)
        ids.retire("a")
        ids.retire("unknown")
        let next = ids.id(of: "a")
        #expect(next != nil && next != first && next != other)
    }

    @Test func namesAreForgottenAndIDsAreNotReused() {
        var ids = LookUpIDs()
        var given: Set<UInt32> = []
        for number in 0..<LookUpIDs.maximumNames + 100 {
            if let id = ids.id(of: "n\(number)") { given.insert(id) }
        }
        #expect(given.count == LookUpIDs.maximumNames + 100)
        let forgotten = ids.id(of: "n0")
        #expect(forgotten != nil && !given.contains(forgotten ?? 0))
        let kept = ids.id(of: "n\(LookUpIDs.maximumNames)")
        #expect(given.contains(kept ?? 0))
    }

    @Test func whenAllAreGivenThereIsNone() {
        var ids = LookUpIDs(next: LookUpIDs.firstHidden - 1, nextHidden: LookUpIDs.end - 1)
        let (last, none) = (ids.id(of: "last"), ids.id(of: "none"))
        #expect(last == LookUpIDs.firstHidden - 1 && none == nil)
        let (lastHidden, noHidden) = (ids.takeHidden(), ids.takeHidden())
        #expect(lastHidden == LookUpIDs.end - 1 && noHidden == nil)
        // The names that have one keep it.
        let known = ids.id(of: "last")
        #expect(known == last)
    }
}
