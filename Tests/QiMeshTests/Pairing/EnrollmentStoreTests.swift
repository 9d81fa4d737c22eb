import Foundation
import Synchronization
import Testing

@testable import QiMesh

@Suite struct EnrollmentStoreTests {
    /// A clock that stands until it is moved; whole seconds, as the file keeps them.
    private final class Clock: Sendable {
        private let time = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
        var now: Date { time.withLock { $0 } }
        func advance(_ seconds: TimeInterval) { time.withLock { $0 += seconds } }
    }

    private func isAccept(_ verdict: EnrollmentTable.Verdict) -> Bool { if case .accept = verdict { true } else { false } }

    @Test func survivesARestartUsedAndUnused() throws {
        try withTemporaryDirectory { folder in
            let clock = Clock()
            let path = folder + "/enrollments.json"
            let first = try EnrollmentStore(file: path, now: { clock.now })
            let (used, entry) = try first.enroll(account: Sample.pepper, name: "desk", lifetime: nil)
            let (unused, _) = try first.enroll(account: Sample.pepper, name: "", lifetime: .seconds(60))
            #expect(try first.use(entry.id, by: Sample.desk, key: key(2)))
            clock.advance(59)
            let second = try EnrollmentStore(file: path, now: { clock.now })
            #expect(second.listing().enrollments == first.listing().enrollments)
            let stolen = Sample.offer(used, from: "eve@mesh.test", key: key(3))
            #expect(try second.judge(stolen, from: "eve@mesh.test", to: Sample.enrolling) == .refuse(.used))
            #expect(isAccept(try second.judge(Sample.offer(unused), from: Sample.desk, to: Sample.enrolling)))
            clock.advance(1)
            #expect(try second.judge(Sample.offer(unused), from: Sample.desk, to: Sample.enrolling) == .refuse(.expired))
            // Who tried is remembered over a restart, too.
            let third = try EnrollmentStore(file: path, now: { clock.now })
            #expect(third.listing().enrollments.flatMap(\.attempts).map(\.jid) == ["eve@mesh.test", Sample.desk])
        }
    }

    @Test func theFileIsPrivateAndHoldsNoToken() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/enrollments.json"
            let store = try EnrollmentStore(file: path)
            let (token, _) = try store.enroll(account: Sample.pepper, name: "", lifetime: nil)
            #expect(try permissions(path) == 0o600)
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(!text.contains(token.text))
            #expect(!text.contains(Base64URL.encode(token.pairingKey)))
            #expect(text.contains(Base64URL.encode(token.verifier.handle)))
        }
    }

    @Test func wrongTriesWithUnknownTokensDoNotWearTheDisk() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/enrollments.json"
            let store = try EnrollmentStore(file: path)
            _ = try store.enroll(account: Sample.pepper, name: "", lifetime: nil)
            let before = FileStatus(path: path)?.version
            let offer = Sample.offer(PairingToken.random(), from: "eve@mesh.test")
            #expect(try store.judge(offer, from: "eve@mesh.test", to: Sample.enrolling) == .refuse(.unknown))
            #expect(FileStatus(path: path)?.version == before)
            #expect(store.listing().strangers.map(\.jid) == ["eve@mesh.test"])
        }
    }

    /// A server on the way has seen the name of the token, and can prove nothing with it.
    @Test func wrongProofsDoNotWearTheDisk() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/enrollments.json"
            let store = try EnrollmentStore(file: path)
            let (token, _) = try store.enroll(account: Sample.pepper, name: "", lifetime: nil)
            let before = FileStatus(path: path)?.version
            var offer = Sample.offer(token, from: "eve@mesh.test", key: key(3))
            offer.proof = offer.proof.map { ~$0 }
            #expect(try store.judge(offer, from: "eve@mesh.test", to: Sample.enrolling) == .refuse(.wrongProof))
            #expect(store.listing().enrollments.flatMap(\.attempts).map(\.jid) == ["eve@mesh.test"])
            #expect(FileStatus(path: path)?.version == before)
        }
    }

    @Test func recognisesTheNameOfATokenThatWaits() throws {
        try withTemporaryDirectory { folder in
            let store = try EnrollmentStore(file: folder + "/enrollments.json")
            let (token, entry) = try store.enroll(account: Sample.pepper, name: "", lifetime: nil)
            let handle = Base64URL.encode(token.verifier.handle)
            #expect(store.expects(handle: handle))
            #expect(!store.expects(handle: token.text))
            #expect(!store.expects(handle: ""))
            #expect(try store.cancel(id: entry.id) == 1)
            #expect(!store.expects(handle: handle))
        }
    }

    @Test func damagedAndOpenFilesAreRefused() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/enrollments.json"
            for text in ["{", "[]", #"{"version":2,"enrollments":[]}"#, #"{"version":1}"#] {
                try write(text, to: path)
                let error = #expect(throws: MeshError.self) { _ = try EnrollmentStore(file: path) }
                #expect(error?.code == .configuration)
                #expect(error?.message.contains(path) == true)
            }
            try write(#"{"version":1,"enrollments":[]}"#, to: path, mode: 0o644)
            #expect(throws: MeshError.self) { _ = try EnrollmentStore(file: path) }
            try setPermissions(0o600, path)
            #expect(try EnrollmentStore(file: path).listing().enrollments.isEmpty)
        }
    }

    /// What cannot be written down is not valid: after a restart it would be good for a second use.
    @Test func aTokenThatCannotBeKeptIsNotMade() throws {
        try withTemporaryDirectory { folder in
            let store = try EnrollmentStore(file: folder + "/gone/enrollments.json")
            #expect(throws: MeshError.self) { _ = try store.enroll(account: Sample.pepper, name: "", lifetime: nil) }
            #expect(store.listing().enrollments.isEmpty)
        }
    }
}
