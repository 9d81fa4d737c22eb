import NIOCore
import NIOEmbedded
@testable import QiMessaging
import QiWire
import Testing

/// What a caller accepts of an answer: whether a result is sent, and how that is told.
@Suite(.timeLimit(.minutes(8))) struct CallTermsTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    /// A path that carries 1 kB/s, with a bound of 100 kB.
    private func path(most: Int? = 100_000, rate: Double? = 1000) -> StreamPath {
        StreamPath(EmbeddedChannel(), .inBand) { PathWidth(piece: 1000, most: most, rate: rate) }
    }

    @Test func withoutTermsOnlyWhatIsAboveTheBoundAndTakesTenSecondsIsRefused() {
        #expect(path().refusal(of: "the result", bytes: 90_000, at: start) == nil)
        #expect(path(rate: 50_000).refusal(of: "the result", bytes: 200_000, at: start) == nil)
        #expect(path(rate: nil).refusal(of: "the result", bytes: 200_000, at: start) == nil)
        #expect(path(most: nil).refusal(of: "the result", bytes: 200_000, at: start) == nil)
        let message = path().refusal(of: "the result", bytes: 200_000, at: start)?.message
        #expect(message == "the result is 200.0 kB, too much for the path in-band, which carries 1.0 kB/s: about 200 s")
    }

    @Test func theCallersPatienceTakesThePlaceOfTenSeconds() {
        let patient = CallTerms(end: start + .seconds(300))
        #expect(path().refusal(of: "the result", bytes: 200_000, under: patient, at: start) == nil)
        // What is gone of the time is gone.
        let message = path().refusal(of: "the result", bytes: 200_000, under: patient, at: start + .seconds(200))?.message
        #expect(message?.hasSuffix("about 200 s, and the caller waits 100 s") == true, "\(message ?? "")")
        let hasty = CallTerms(end: start + .seconds(2))
        #expect(path(rate: 50_000).refusal(of: "the result", bytes: 200_000, under: hasty, at: start) != nil)
        #expect(path().refusal(of: "the result", bytes: 90_000, under: hasty, at: start) == nil)
    }

    @Test func aCallerThatSaysWhatItAcceptsIsNotBoundByTheNode() {
        let terms = CallTerms(mostBytes: 1_000_000, end: start + .seconds(300))
        #expect(path().refusal(of: "the result", bytes: 200_000, under: terms, at: start) == nil)
        #expect(path().refusal(of: "the result", bytes: 400_000, under: terms, at: start) != nil)
        // Below the node's bound, too, nothing is begun that comes too late.
        let hasty = CallTerms(mostBytes: 1_000_000, end: start + .seconds(10))
        #expect(path().refusal(of: "the result", bytes: 90_000, under: hasty, at: start) != nil)
        #expect(terms.refusal(ofResult: 1_000_000) == nil)
        #expect(terms.refusal(ofResult: 1_000_001)?.message == "the result is 1.0 MB, and the caller accepts 1.0 MB")
        #expect(hasty.refusal(ofResult: 900) == nil && CallTerms(end: start).refusal(ofResult: 1 << 30) == nil)
    }

    @Test(arguments: [
        CallTerms(), CallTerms(mostBytes: 5), CallTerms(mostBytes: 1 << 40, end: .uptimeNanoseconds(1_000_000_000_000) + .seconds(9)),
    ])
    func termsAreReadAsTheyWereWritten(_ terms: CallTerms) throws {
        let bytes = CallTermsTable.write(terms, of: 77, at: start)
        let (id, read) = try CallTermsTable.read(bytes, at: start)
        #expect(id == 77 && read == terms)
        for length in 0..<bytes.readableBytes {
            let part = try #require(bytes.getSlice(at: bytes.readerIndex, length: length))
            #expect(throws: WireError.self) { try CallTermsTable.read(part, at: start) }
        }
        var longer = bytes
        longer.writeInteger(UInt8(0))
        #expect(throws: WireError.self) { try CallTermsTable.read(longer, at: start) }
    }

    @Test func noPeerIsBelievedToWaitForLongerThanTenMinutes() throws {
        let bytes = CallTermsTable.write(CallTerms(mostBytes: 5, end: start + .hours(24)), of: 1, at: start)
        #expect(try CallTermsTable.read(bytes, at: start).terms.end == start + .minutes(10))
        let late = CallTermsTable.write(CallTerms(end: start - .seconds(1)), of: 1, at: start)
        #expect(try CallTermsTable.read(late, at: start).terms.end == start)
    }

    @Test func termsAreTakenOnceAndTheirNumberIsBounded() {
        var table = CallTermsTable()
        table.keep(CallTerms(mostBytes: 1), of: 9)
        let (first, again) = (table.take(9), table.take(9))
        #expect(first == CallTerms(mostBytes: 1) && again == nil && table.isEmpty)
        for id in 0...UInt32(CallTermsTable.most) { table.keep(CallTerms(mostBytes: 1), of: id) }
        let (oldest, second, newest) = (table.take(0), table.take(1), table.take(UInt32(CallTermsTable.most)))
        #expect(oldest == nil && second != nil && newest != nil)
    }

    @Test func theOrderOfTermsThatAreToldAgainAndAgainIsTheLast() {
        var table = CallTermsTable()
        for id in 0..<UInt32(CallTermsTable.most) { table.keep(CallTerms(mostBytes: 1), of: id) }
        for _ in 0..<(4 * CallTermsTable.most) { table.keep(CallTerms(mostBytes: 2), of: 0) }
        table.keep(CallTerms(mostBytes: 1), of: 5000)
        let (again, oldest, newest) = (table.take(0), table.take(1), table.take(5000))
        #expect(again == CallTerms(mostBytes: 2) && oldest == nil && newest != nil)
    }

    @Test func termsThatSayNothingTakeAwayWhatWasTold() {
        var table = CallTermsTable()
        table.keep(CallTerms(mostBytes: 1), of: 9)
        table.keep(CallTerms(), of: 9)
        let taken = table.take(9)
        #expect(taken == nil && table.isEmpty)
    }

    private static var big: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("text", "(I)", returns: "s") { arguments, _ in
            .string(QiString(String(repeating: "x", count: Int(arguments[0].asUInt32 ?? 0))))
        }
        return builder
    }

    @Test func aResultThatIsTooLongIsRefusedByTheDeviceThatHasIt() async throws {
        try await FarDevice.with(["Big": Self.big]) { near, endpoint, _ in
            try await withFolder { folder in
                let local = try await near.listen(at: #require(Endpoint("unix:\(folder)/sd.sock")))
                try await withSession(local.endpoint) { session in
                    let big = try await session.service("pepper/Big")
                    #expect(try await big.call("text", arguments: [.uint32(900)], mostBytes: 1000).asString?.utf8.count == 900)
                    let error = await #expect(throws: QiError.self) {
                        _ = try await big.call("text", arguments: [.uint32(5000)], mostBytes: 1000)
                    }
                    #expect(error?.code == .limit)
                    // The word before it says that the text came as an Error message.
                    let message = error?.message ?? ""
                    #expect(message.hasPrefix("limit: the result is 5.0 kB, and the caller accepts 1.0 kB"), "\(message)")
                    #expect(try await big.call("text", arguments: [.uint32(5000)]).asString?.utf8.count == 5000)
                }
                await local.close()
                // A directory that was told nothing sends it, and it is refused here.
                try await withSession(endpoint) { session in
                    let big = try await session.service("pepper/Big")
                    let error = await #expect(throws: QiError.self) {
                        _ = try await big.call("text", arguments: [.uint32(5000)], mostBytes: 1000)
                    }
                    #expect(error?.message.hasPrefix("the result is 5.0 kB") == true, "\(error?.message ?? "")")
                }
            }
        }
    }
}
