import Foundation
import NIOSSL
import Testing

@testable import QiMesh

@Suite struct DeviceIdentityTests {
    @Test func isMadeOnceAndKept() throws {
        try withTemporaryDirectory { base in
            let directory = base + "/state/qimesh"
            let first = try DeviceIdentity.loadOrCreate(directory: directory)
            let second = try DeviceIdentity.loadOrCreate(directory: directory)
            #expect(first.fingerprint == second.fingerprint)
            #expect(first.deviceID == second.deviceID)
            #expect(first.deviceID.utf8.count == 16)
            #expect(UInt64(first.deviceID, radix: 16) != nil)
            #expect(try first.certificate.toDERBytes() == second.certificate.toDERBytes())
        }
    }

    @Test func isPrivateAndLeavesNothingElse() throws {
        try withTemporaryDirectory { base in
            let directory = base + "/qimesh"
            _ = try DeviceIdentity.loadOrCreate(directory: directory)
            #expect(try permissions(directory) == 0o700)
            #expect(try permissions(directory + "/identity.pem") == 0o600)
            #expect(try names(in: directory) == ["identity.pem"])
        }
    }

    @Test func certificatePassesThePeersRule() throws {
        try withTemporaryDirectory { directory in
            let identity = try DeviceIdentity.loadOrCreate(directory: directory)
            #expect(try PeerCertificate.examine([identity.certificate]).get() == identity.fingerprint)
        }
    }

    @Test func certificateLastsTwentyYears() throws {
        try withTemporaryDirectory { directory in
            let identity = try DeviceIdentity.loadOrCreate(directory: directory)
            let end = Date(timeIntervalSince1970: TimeInterval(identity.certificate.notValidAfter))
            #expect(end.timeIntervalSinceNow > 19.9 * 365.25 * 86_400)
        }
    }

    @Test(arguments: [0o640, 0o604, 0o620, 0o666])
    func refusesAFileOpenToOthers(mode: Int) throws {
        try withTemporaryDirectory { directory in
            _ = try DeviceIdentity.loadOrCreate(directory: directory)
            let path = directory + "/identity.pem"
            try setPermissions(mode, path)
            let error = #expect(throws: MeshError.self) { try DeviceIdentity.loadOrCreate(directory: directory) }
            #expect(error?.code == .identity)
            #expect(error?.hint == "chmod 600 \(path)")
        }
    }

    @Test func refusesADirectoryOpenToOthers() throws {
        try withTemporaryDirectory { directory in
            try setPermissions(0o755, directory)
            let error = #expect(throws: MeshError.self) { try DeviceIdentity.loadOrCreate(directory: directory) }
            #expect(error?.code == .identity)
            #expect(error?.hint == "chmod 700 \(directory)")
            #expect(try names(in: directory).isEmpty)
        }
    }

    @Test(arguments: ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
    func neverReplacesADamagedFile(content: String) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/identity.pem"
            try write(content, to: path)
            let error = #expect(throws: MeshError.self) { try DeviceIdentity.loadOrCreate(directory: directory) }
            #expect(error?.code == .identity)
            #expect(error?.message.contains("damaged") == true)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == content)
        }
    }

    @Test func refusesTheCertificateOfAnotherKey() throws {
        try withTemporaryDirectory { base in
            _ = try DeviceIdentity.loadOrCreate(directory: base + "/a")
            _ = try DeviceIdentity.loadOrCreate(directory: base + "/b")
            let a = try String(contentsOfFile: base + "/a/identity.pem", encoding: .utf8)
            let b = try String(contentsOfFile: base + "/b/identity.pem", encoding: .utf8)
            let marker = "-----BEGIN CERTIFICATE-----"
            let key = try #require(a.range(of: marker)).lowerBound
            let certificate = try #require(b.range(of: marker)).lowerBound
            try write(a[..<key] + String(b[certificate...]), to: base + "/a/identity.pem")
            let error = #expect(throws: MeshError.self) { try DeviceIdentity.loadOrCreate(directory: base + "/a") }
            #expect(error?.detailedDescription().contains("another key") == true)
        }
    }

    @Test func refusesWhatIsNoRegularFile() throws {
        try withTemporaryDirectory { directory in
            #expect(mkfifo(directory + "/identity.pem", 0o600) == 0)
            let error = #expect(throws: MeshError.self) { try DeviceIdentity.loadOrCreate(directory: directory) }
            #expect(error?.message.contains("not a regular file") == true)
        }
    }

    @Test func refusesAnOversizedFile() throws {
        try withTemporaryDirectory { directory in
            try write(String(repeating: "x", count: 20_000), to: directory + "/identity.pem")
            let error = #expect(throws: MeshError.self) { try DeviceIdentity.loadOrCreate(directory: directory) }
            #expect(error?.message.contains("larger than 16384 bytes") == true)
        }
    }

    @Test func manyStartingTogetherAgree() async throws {
        try await withTemporaryDirectory { base in
            let directory = base + "/qimesh"
            let keys = try await withThrowingTaskGroup(of: KeyFingerprint.self) { group in
                for _ in 0..<24 { group.addTask { try DeviceIdentity.loadOrCreate(directory: directory).fingerprint } }
                return try await group.reduce(into: Set<KeyFingerprint>()) { $0.insert($1) }
            }
            #expect(keys.count == 1)
            #expect(try names(in: directory) == ["identity.pem"])
        }
    }

    @Test func nothingPrintsTheKey() throws {
        try withTemporaryDirectory { directory in
            let identity = try DeviceIdentity.loadOrCreate(directory: directory)
            let pem = try String(contentsOfFile: directory + "/identity.pem", encoding: .utf8)
            let secret = try #require(pem.split(separator: "\n").dropFirst().first)
            var dumped = "\(identity)" + String(reflecting: identity)
            dump(identity, to: &dumped)
            #expect(dumped.contains(identity.fingerprint.description))
            #expect(!dumped.contains(secret))
            #expect(!dumped.contains("privateKey"))
        }
    }
}
