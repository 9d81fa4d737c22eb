import NIOCore
import Testing

@testable import XMPP

@Suite struct ThroughputMeterTests {
    private func at(_ milliseconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(milliseconds) * 1_000_000) }

    @Test func measuresWhatArrivesInASecond() throws {
        var meter = ThroughputMeter()
        for tick in 0...10 { meter.arrived(500, at: at(tick * 100)) }
        let first = try #require(meter.bytesPerSecond)
        #expect(first == 5000)
        for tick in 11...20 { meter.arrived(1000, at: at(tick * 100)) }
        let second = try #require(meter.bytesPerSecond)
        #expect(second == 7500)
    }

    @Test func aSilenceOrAFewBytesSayNothing() {
        var meter = ThroughputMeter()
        meter.arrived(500, at: at(0))
        meter.arrived(50_000, at: at(3001))
        #expect(meter.bytesPerSecond == nil)
        meter.arrived(100, at: at(4500))
        #expect(meter.bytesPerSecond == nil)
    }
}
