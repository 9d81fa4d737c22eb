import Foundation
import Logging
import QiMessaging
import Testing

@testable import QiMesh

@Suite(.timeLimit(.minutes(8))) struct AuditRepeatsTests {
    private let start = Date(timeIntervalSince1970: 1_800_000_000)

    private func line(
        _ target: String, by principal: String = "op@lab.example", after seconds: Double = 0, event: String = "denied", rule: Int? = 2,
        allowed: Bool = false
    ) -> AuditLine {
        AuditLine(
            time: start + seconds,
            record: AuditRecord(
                event: event, principal: principal, zone: .internet, target: target, access: "call", isAllowed: allowed, rule: rule,
                path: "device \(principal)"))
    }

    @Test func theFirstAreWrittenAndTheOthersCounted() throws {
        var repeats = AuditRepeats()
        for number in 0..<AuditRepeats.lineLimit {
            let line = line("\(number)")
            #expect(repeats.lines(for: line) == [line])
        }
        #expect(repeats.nextEnd == nil)
        for number in 0..<500 { #expect(repeats.lines(for: line("x\(number)", after: 1)).isEmpty) }
        #expect(repeats.nextEnd == start + AuditRepeats.windowLength)
        #expect(repeats.expired(at: start + AuditRepeats.windowLength - 1).isEmpty)
        let written = try #require(repeats.expired(at: start + AuditRepeats.windowLength).first)
        #expect(written.count == 500 && written.record.target == "x499" && written.record.principal == "op@lab.example")
        #expect(written.record.detail == "500 more of this kind within a minute; this is the last")
        #expect(repeats.nextEnd == nil && repeats.finish().isEmpty)
        // A new minute.
        let next = line("y", after: 61)
        #expect(repeats.lines(for: next) == [next])
    }

    @Test func oneOfAnotherKindIsWrittenAtOnce() {
        var repeats = AuditRepeats()
        for number in 0..<100 { _ = repeats.lines(for: line("\(number)")) }
        let others = [
            line("A.b", by: "eve@lab.example"), line("A.b", rule: 3), line("A.b", rule: nil), line("A.b", event: "limited"),
            line("A.b", allowed: true), line("A.b", allowed: true),
        ]
        for other in others { #expect(repeats.lines(for: other) == [other]) }
        // Allowed ones are each written, however many.
        for number in 0..<100 { #expect(repeats.lines(for: line("\(number)", event: "call", allowed: true)).count == 1) }
    }

    /// The name is whatever the asker says; the address is not.
    @Test func inventedNamesFromOneAddressAreOneKind() {
        var repeats = AuditRepeats()
        var written = 0
        for number in 0..<5_000 {
            var line = line("gateway", by: "user:\(number)", event: "refused", rule: nil)
            line.record.place = "10.0.0.7"
            written += repeats.lines(for: line).count
        }
        #expect(written == AuditRepeats.lineLimit)
        // Another address is another kind.
        var other = line("gateway", by: "user:1", event: "refused", rule: nil)
        other.record.place = "10.0.0.8"
        #expect(repeats.lines(for: other) == [other])
    }

    @Test func whatIsDueComesBeforeWhatIsNew() {
        var repeats = AuditRepeats()
        for number in 0..<100 { _ = repeats.lines(for: line("\(number)")) }
        let next = line("new", after: 3_600)
        let lines = repeats.lines(for: next)
        #expect(lines.map(\.count) == [90, nil] && lines.last == next)
        // And so does what a clock that was set back leaves behind.
        for number in 0..<100 { _ = repeats.lines(for: line("\(number)", after: 3_600)) }
        #expect(repeats.lines(for: line("back", after: -7_200)).map(\.count) == [91, nil])
    }

    @Test func memoryIsBounded() {
        var repeats = AuditRepeats()
        var written = 0
        for number in 0..<(20 * AuditRepeats.windowLimit) { written += repeats.lines(for: line("A.b", by: "host:\(number)")).count }
        #expect(written == AuditRepeats.windowLimit + AuditRepeats.lineLimit)
        let ended = repeats.finish()
        #expect(ended.map(\.count) == [19 * AuditRepeats.windowLimit - AuditRepeats.lineLimit])
        #expect(ended.first?.record.detail?.contains("of many callers") == true)
    }

    /// Through the log and the file: a guesser leaves a few lines and one number.
    @Test func aGuesserPushesNothingOut() async throws {
        try await withTemporaryDirectory { folder in
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let log = AuditLog(file: folder + "/audit.jsonl", logger: logger)
            let earlier = line("ALMotion.moveTo", by: "carol@lab.example")
            try await log.whileWriting {
                log.record(earlier.record)
                for number in 0..<100_000 { log.record(line("1.\(number)").record) }
            }
            var lines: [AuditLine] = []
            #expect(try AuditReader([folder + "/audit.jsonl"]).read { lines.append($0) } == 0)
            #expect(lines.first?.record == earlier.record)
            // As many more as minutes begin meanwhile.
            #expect(lines.count <= 1 + 3 * (AuditRepeats.lineLimit + 1))
            #expect(lines.dropFirst().reduce(0) { $0 + ($1.count ?? 1) } == 100_000)
        }
    }
}
