import NIOCore
@testable import QiMessaging
import Testing

@Suite struct RepeatedLinesTests {
    @Test func ofManyLinesOfOneKindFewAreWritten() {
        let start = NIODeadline.uptimeNanoseconds(0)
        var lines = RepeatedLines(at: start)
        let written = (0..<1000).compactMap { _ in lines.count("one", at: start) }
        #expect(written == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
        #expect(lines.count("other", at: start) == 1)
        #expect(lines.count("one", at: start + .seconds(59)) == nil)
        #expect(lines.count("one", at: start + .seconds(60)) == 1)
    }

    @Test func ofManyKindsTheRestIsOneKind() {
        let start = NIODeadline.uptimeNanoseconds(0)
        var lines = RepeatedLines(at: start)
        let written = (0..<10_000).count { lines.count("\($0)", at: start) != nil }
        #expect(written <= RepeatedLines.mostKinds + 14)
    }
}
