import Glibc
import Logging
import Synchronization
import Testing

@testable import XMPP

struct StropheContainmentTests {
    @Test func highDescriptorsAreMovedDown() throws {
        let reserve = LowDescriptorReserve()
        defer { reserve.release() }
        let original = open("/dev/null", O_RDONLY)
        #expect(reserve.lowered(original) == original)
        let high = fcntl(original, F_DUPFD, 2000)
        try #require(high >= 2000, "raise the limit of open files")
        let low = try #require(reserve.lowered(high))
        #expect(low < 1024)
        // The high number is free again, the low one is open and not inherited.
        #expect(fcntl(high, F_GETFD) == -1)
        #expect(fcntl(low, F_GETFD) == FD_CLOEXEC)
        // Nothing is left for a second one until the first is closed.
        let second = fcntl(original, F_DUPFD, 2000)
        #expect(reserve.lowered(second) == nil)
        close(low)
        reserve.reserve()
        let third = try #require(reserve.lowered(second))
        #expect(third < 1024)
        close(third)
        close(original)
    }

    @Test func aReserveThatFindsNoLowNumberTakesOneThatTheProcessKept() throws {
        LowDescriptors.keep(1)
        let original = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(original) }
        // Not the numbers of the test above, which looks whether one of them is free again.
        func high() -> Int32 { fcntl(original, F_DUPFD, 3000) }
        let reserve = LowDescriptorReserve(next: high)
        defer { reserve.release() }
        let low = try #require(reserve.lowered(high()))
        #expect(low < 1024)
        close(low)
        reserve.reserve()
        let second = high()
        #expect(reserve.lowered(second) == nil)
        close(second)
    }

    @Test func guardInterruptsTheSocketAndNothingElse() throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let socketGuard = SocketGuard()
        socketGuard.watch(ends[0])
        // The number is closed and given to somebody else meanwhile.
        close(ends[0])
        var other: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &other) == 0)
        socketGuard.interrupt()
        var byte: UInt8 = 0
        #expect(read(ends[1], &byte, 1) == 0)
        #expect(write(other[0], &byte, 1) == 1)
        #expect(read(other[1], &byte, 1) == 1)
        socketGuard.release()
        socketGuard.interrupt()
        for descriptor in [ends[1]] + other { close(descriptor) }
    }

    @Test func loopRunsWorkInOrderOnItsThread() async {
        let loop = StropheLoop(name: "test", logger: Logger(label: "test"))
        let seen = Mutex<[Int]>([])
        await withCheckedContinuation { continuation in
            for number in 0..<1000 {
                loop.execute {
                    loop.checkIsolated()
                    seen.withLock { $0.append(number) }
                }
            }
            // Work that hands in work: it comes after all that was there.
            loop.execute { loop.execute { continuation.resume() } }
        }
        #expect(!loop.isOnThread)
        #expect(seen.withLock { $0 } == Array(0..<1000))
        loop.stop()
    }

    /// A process at its limit of descriptors gets none for the wake-up, now or for long: the account waits, and nothing ends.
    @Test func loopWithoutADescriptorForItsWakeUpRunsAllTheSame() async {
        let asked = Atomic<Int>(0)
        let loop = StropheLoop(name: "test", logger: Logger(label: "test")) {
            asked.add(1, ordering: .relaxed).newValue < 20 ? -1 : StropheLoop.newWakeup()
        }
        // Some while there is none, some after it was made.
        var afterwards = 0
        while afterwards < 100 {
            await withCheckedContinuation { continuation in loop.execute { continuation.resume() } }
            if asked.load(ordering: .relaxed) >= 20 { afterwards += 1 }
        }
        // Once there is one, no other is made.
        #expect(asked.load(ordering: .relaxed) == 20)
        loop.stop()
    }

    @Test func numericAddressesResolveToThemselves() {
        #expect(ServerAddresses.resolve("127.0.0.1") == ["127.0.0.1"])
        #expect(ServerAddresses.resolve("::1") == ["::1"])
        #expect(ServerAddresses.resolve("no such host").isEmpty)
        var addresses = ServerAddresses()
        #expect(addresses.next(for: "127.0.0.1") == "127.0.0.1")
        #expect(!addresses.hasMore)
    }
}
