import Foundation
import Testing

@testable import QiMesh

/// The rules about tokens, with a clock of the test's own.
@Suite struct EnrollmentTableTests {
    private let start = Date(timeIntervalSince1970: 1_800_000_000)

    private func at(_ seconds: TimeInterval) -> Date { start + seconds }

    /// A table with one token, `id` "one".
    private func table(_ token: PairingToken, account: String = Sample.pepper) throws -> EnrollmentTable {
        var table = EnrollmentTable()
        _ = try table.enroll(token.verifier, id: "one", account: account, name: "", at: start)
        return table
    }

    private func judge(
        _ table: inout EnrollmentTable, _ offer: PairingOffer, from jid: String = Sample.desk, at seconds: TimeInterval = 1
    ) -> EnrollmentTable.Verdict {
        table.judge(offer, from: jid, to: Sample.enrolling, at: at(seconds))
    }

    private func isAccept(_ verdict: EnrollmentTable.Verdict) -> Bool { if case .accept = verdict { true } else { false } }
    private func isAcceptAgain(_ verdict: EnrollmentTable.Verdict) -> Bool { if case .acceptAgain = verdict { true } else { false } }

    @Test func aTokenIsTakenOnce() throws {
        let token = PairingToken.random()
        var table = try table(token)
        let offer = Sample.offer(token)
        #expect(isAccept(judge(&table, offer)))
        #expect(table.use("one", by: Sample.desk, key: key(2), at: at(1)) == true)
        #expect(table.outstanding(at: at(1)).isEmpty)
        #expect(table.use("one", by: "eve@mesh.test", key: key(3), at: at(1)) == false)
        // A thief with the very same token, and with a proof that is right.
        let stolen = Sample.offer(token, from: "eve@mesh.test", key: key(3))
        #expect(judge(&table, stolen, from: "eve@mesh.test", at: 5) == .refuse(.used))
        let attempts = try #require(table.enrollments.first).attempts
        #expect(attempts == [.init(jid: "eve@mesh.test", key: key(3), reason: .used, knewToken: true, date: at(5))])
    }

    @Test func theSameDeviceMayAskAgainWhenItDidNotHear() throws {
        let token = PairingToken.random()
        var table = try table(token)
        let offer = Sample.offer(token)
        #expect(table.use("one", by: Sample.desk, key: key(2), at: at(1)) == true)
        #expect(isAcceptAgain(judge(&table, offer, at: 30)))
        // With another key, from another address, or later, it is somebody else's use.
        #expect(judge(&table, Sample.offer(token, key: key(4)), at: 31) == .refuse(.used))
        #expect(judge(&table, offer, from: "eve@mesh.test", at: 32) == .refuse(.wrongProof))
        #expect(judge(&table, offer, at: 601) == .refuse(.used))
    }

    @Test func aRevokedDeviceCannotComeBackByItsOldToken() throws {
        let token = PairingToken.random()
        var table = try table(token)
        #expect(table.use("one", by: Sample.desk, key: key(2), at: at(1)) == true)
        table.revoked(jid: Sample.desk, at: at(2))
        #expect(judge(&table, Sample.offer(token), at: 3) == .refuse(.used))
    }

    @Test func aTokenLivesTenMinutes() throws {
        let token = PairingToken.random()
        var table = try table(token)
        let offer = Sample.offer(token)
        #expect(isAccept(judge(&table, offer, at: 599.9)))
        #expect(judge(&table, offer, at: 600) == .refuse(.expired))
        #expect(table.use("one", by: Sample.desk, key: key(2), at: at(600)) == false)
        #expect(table.enrollments.first?.word(at: at(600)) == "expired")
        // A day later nothing is remembered, and nobody is told anything.
        #expect(judge(&table, offer, at: 600 + 86_400) == .ignore)
        #expect(table.enrollments.isEmpty)
    }

    @Test func aClockSetBackLengthensNoLife() throws {
        let token = PairingToken.random()
        var table = try table(token)
        #expect(isAccept(judge(&table, Sample.offer(token), at: -5)))
        #expect(judge(&table, Sample.offer(token), at: -3_600) == .refuse(.expired))
    }

    @Test func aCancelledTokenIsRefused() throws {
        let token = PairingToken.random()
        var table = try table(token)
        #expect(table.cancel(id: "other", at: at(1)) == 0)
        #expect(table.cancel(id: nil, at: at(1)) == 1)
        #expect(judge(&table, Sample.offer(token), at: 2) == .refuse(.cancelled))
        #expect(table.cancel(id: "one", at: at(3)) == 0)
    }

    @Test func forgedProofsAreRefused() throws {
        let token = PairingToken.random()
        var table = try table(token)
        // The name of the token was seen on the way; the secret was not.
        var offer = Sample.offer(PairingToken.random())
        offer.handle = token.verifier.handle
        #expect(judge(&table, offer) == .refuse(.wrongProof))
        // The offer of another, replayed under one's own address, and with another key in it.
        #expect(judge(&table, Sample.offer(token), from: "eve@mesh.test") == .refuse(.wrongProof))
        var swapped = Sample.offer(token)
        swapped.key = key(9)
        #expect(judge(&table, swapped) == .refuse(.wrongProof))
        // An offer that was made for another device of the same person.
        let other = Sample.offer(token, to: .init(jid: "nao@mesh.test", key: key(1)))
        #expect(judge(&table, other) == .refuse(.wrongProof))
        #expect(table.enrollments.first?.attempts.allSatisfy { !$0.knewToken } == true)
        #expect(isAccept(judge(&table, Sample.offer(token))))
    }

    @Test func strangersLearnNothingWhenNoTokenIsOut() throws {
        var empty = EnrollmentTable()
        #expect(!empty.isListening(account: Sample.pepper, at: start))
        #expect(judge(&empty, Sample.offer(PairingToken.random())) == .ignore)
        // One that was used: those who hold it are told, others are not.
        let token = PairingToken.random()
        var table = try table(token)
        #expect(table.use("one", by: Sample.desk, key: key(2), at: at(1)) == true)
        #expect(judge(&table, Sample.offer(PairingToken.random()), from: "eve@mesh.test") == .ignore)
        #expect(table.strangers.isEmpty)
    }

    @Test func tokensOfOtherAccountsAreUnknown() throws {
        let token = PairingToken.random()
        var table = try table(token, account: "head@mesh.test")
        #expect(judge(&table, Sample.offer(token)) == .ignore)
        _ = try table.enroll(PairingToken.random().verifier, id: "two", account: Sample.pepper, name: "", at: start)
        #expect(judge(&table, Sample.offer(token)) == .refuse(.unknown))
    }

    @Test func fiveWrongTriesAMinuteAreLookedAt() throws {
        let token = PairingToken.random()
        var table = try table(token)
        let wrong = Sample.offer(PairingToken.random())
        for second in 0..<5 { #expect(judge(&table, wrong, from: "eve@mesh.test", at: TimeInterval(second)) == .refuse(.unknown)) }
        for second in 5..<60 { #expect(judge(&table, wrong, from: "eve\(second)@mesh.test", at: TimeInterval(second)) == .ignore) }
        #expect(table.strangers.count == 5)
        // Meanwhile the device with the right token is not held up.
        #expect(isAccept(judge(&table, Sample.offer(token), at: 59)))
        // The first of them is a minute ago.
        #expect(judge(&table, wrong, from: "eve@mesh.test", at: 60) == .refuse(.unknown))
        #expect(judge(&table, wrong, from: "eve@mesh.test", at: 60.5) == .ignore)
        // Whoever tries without end is remembered with an end.
        for minute in 2..<20 { _ = judge(&table, wrong, from: "eve@mesh.test", at: TimeInterval(minute * 60)) }
        #expect(table.strangers.count == Enrollment.attemptLimit)
    }

    @Test func outstandingTokensAreBounded() throws {
        var table = EnrollmentTable()
        for index in 0..<EnrollmentTable.outstandingLimit {
            _ = try table.enroll(PairingToken.random().verifier, id: "\(index)", account: Sample.pepper, name: "", at: start)
        }
        let error = #expect(throws: MeshError.self) {
            _ = try table.enroll(PairingToken.random().verifier, id: "more", account: Sample.pepper, name: "", at: start)
        }
        #expect(error?.code == .tooLarge)
        #expect(error?.hint?.contains("--cancel") == true)
        #expect(table.cancel(id: "3", at: at(1)) == 1)
        _ = try table.enroll(PairingToken.random().verifier, id: "more", account: Sample.pepper, name: "", at: at(1))
    }

    @Test func rememberedTokensAreBounded() throws {
        var table = EnrollmentTable()
        for index in 0...(EnrollmentTable.limit + 5) {
            _ = try table.enroll(PairingToken.random().verifier, id: "\(index)", account: Sample.pepper, name: "", at: at(Double(index)))
            #expect(table.cancel(id: "\(index)", at: at(Double(index))) == 1)
        }
        #expect(table.enrollments.count <= EnrollmentTable.limit)
        #expect(table.enrollments.last?.id == "\(EnrollmentTable.limit + 5)")
    }
}
