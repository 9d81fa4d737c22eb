@testable import QiMessaging
import Testing

struct DirectoryJournalTests {
    private typealias Record = DirectoryJournal.Record

    private func registration(_ id: UInt32, _ name: String, machine: String = "m", session: String = "s") -> DirectoryJournal.Registration {
        .init(id: id, name: name, machineID: machine, sessionID: session)
    }

    private func file(_ records: [Record]) -> [UInt8] { records.flatMap { Array(DirectoryJournal.line($0).utf8) } }

    @Test func everyRecordReadsBack() {
        let records: [Record] = [
            .next(17), .given(40), .removed(3), .registered(registration(5, "ALTextToSpeech")),
            .registered(registration(6, "a.b_c~d-0", machine: "", session: "with blanks, %, \u{e9}\n and more")),
        ]
        for record in records {
            let line = DirectoryJournal.line(record)
            #expect(line.hasSuffix("\n") && line.dropLast().allSatisfy { $0 != "\n" })
            #expect(DirectoryJournal.record(line.dropLast()) == record)
        }
    }

    @Test(arguments: [("uid:1000", Zone.internal), ("user:nao", .lan), ("op@lab.example", .internet), ("", .internal)])
    func whoseANameIsReadsBack(_ holder: (principal: String, zone: Zone)) {
        var registration = registration(5, "a")
        registration.holder = DirectoryTable.Holder(principal: holder.principal, zone: holder.zone)
        #expect(DirectoryJournal.record(DirectoryJournal.line(.registered(registration)).dropLast()) == .registered(registration))
    }

    @Test func replayGivesTheState() {
        let (journal, skipped) = DirectoryJournal.replay(
            file([
                .registered(registration(2, "a")), .registered(registration(3, "b")), .removed(2), .registered(registration(9, "c")),
                .registered(registration(3, "b", session: "later")),
            ]))
        #expect(skipped == 0)
        #expect(journal.names == ["b": registration(3, "b", session: "later"), "c": registration(9, "c")])
        #expect(journal.ids.next == 4 && journal.ids.ahead == [9])
    }

    @Test func itsRecordsGiveItAgain() {
        let (journal, _) = DirectoryJournal.replay(
            file([.next(5), .given(8), .registered(registration(5, "x")), .registered(registration(30, "y")), .removed(30)]))
        let (again, skipped) = DirectoryJournal.replay(file(journal.records))
        #expect(skipped == 0 && again == journal)
        // The id of what is gone stays given.
        #expect(again.ids.wasGiven(30))
    }

    @Test func aTornTailIsSkipped() {
        let whole = file([.registered(registration(2, "a")), .registered(registration(3, "b"))])
        let first = file([.registered(registration(2, "a"))]).count
        for length in first...whole.count {
            let (journal, skipped) = DirectoryJournal.replay(Array(whole.prefix(length)))
            let isWhole = length >= whole.count - 1
            #expect(journal.names.count == (isWhole ? 2 : 1))
            #expect(skipped == (isWhole || length == first ? 0 : 1))
        }
    }

    @Test func anyBitThatTurnsIsNoticed() {
        let line = Array(DirectoryJournal.line(.registered(registration(7, "Service"))).utf8)
        for index in 0..<line.count - 1 {
            for bit in 0..<8 {
                var damaged = line
                damaged[index] ^= 1 << bit
                let (journal, skipped) = DirectoryJournal.replay(damaged)
                #expect(journal.names.isEmpty && skipped > 0, "byte \(index), bit \(bit)")
            }
        }
    }

    @Test(arguments: [
        "", "\n\n", "garbage", "00000000 next 7", String(repeating: "x", count: 100_000), "\u{0}\u{1}\u{2}", "next 7", "cafebabe",
    ])
    func foreignTextIsSkipped(_ text: String) {
        let (journal, _) = DirectoryJournal.replay(Array(text.utf8) + [10] + file([.next(9)]))
        #expect(journal.names.isEmpty && journal.ids.next == 9)
    }

    @Test func bytesThatAreNoTextAreSkipped() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let noise = (0..<Int.random(in: 0..<400)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let (journal, _) = DirectoryJournal.replay(noise + [10] + file([.registered(registration(2, "a"))]))
            #expect(journal.names.keys.contains("a"))
        }
    }

    @Test func identitiesOfAnySizeFit() {
        let long = String(repeating: "i", count: 100_000)
        let line = DirectoryJournal.line(.registered(registration(2, "a", machine: long, session: "s")))
        #expect(line.utf8.count < 200)
        #expect(DirectoryJournal.record(line.dropLast()) == .registered(registration(2, "a", machine: "", session: "s")))
    }

    @Test func anIdIsOneServices() {
        let (journal, _) = DirectoryJournal.replay(
            file([.registered(registration(2, "a")), .registered(registration(2, "b")), .removed(2)]))
        #expect(journal.names.isEmpty)
    }

    @Test func idsAndNamesThatCannotBeAreForeign() {
        for record in [Record.next(0), .next(.max), .given(1), .registered(registration(ServiceIDs.end, "a")), .registered(registration(2, "a b"))] {
            #expect(DirectoryJournal.record(DirectoryJournal.line(record).dropLast()) == nil)
        }
    }
}
