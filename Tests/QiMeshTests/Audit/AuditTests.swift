import Foundation
import Logging
import QiMessaging
import Testing

@testable import QiMesh

@Suite(.timeLimit(.minutes(8))) struct AuditTests {
    private static func record(_ target: String, allowed: Bool = false, rule: Int? = 2) -> AuditRecord {
        AuditRecord(
            event: allowed ? "call" : "denied", principal: "op@lab.example", zone: .internet, target: target, access: "call",
            isAllowed: allowed, rule: rule, path: "device op@lab.example")
    }

    private static var quiet: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    /// Writes the records and answers what is read back.
    private static func written(_ records: [AuditRecord], in folder: String, _ settings: AuditSettings = AuditSettings()) async throws -> [AuditLine] {
        let log = AuditLog(file: folder + "/audit.jsonl", logger: quiet)
        log.configure(settings)
        try await log.whileWriting { for record in records { log.record(record) } }
        var lines: [AuditLine] = []
        #expect(try AuditReader([folder + "/audit.jsonl"]).read { lines.append($0) } == 0)
        return lines
    }

    @Test func aRecordIsOneLineOfJSONWithItsFields() async throws {
        try await withTemporaryDirectory { folder in
            let lines = try await Self.written([Self.record("ALMotion.moveTo"), Self.record("A.b", allowed: true, rule: nil)], in: folder)
            #expect(lines.map(\.record) == [Self.record("ALMotion.moveTo"), Self.record("A.b", allowed: true, rule: nil)])
            let text = try String(contentsOfFile: folder + "/audit.jsonl", encoding: .utf8).split(separator: "\n")
            #expect(text.count == 1)
            let first = try #require(try JSONSerialization.jsonObject(with: Data(text[0].utf8)) as? [String: Any])
            #expect(
                Set(first.keys) == ["time", "event", "principal", "zone", "target", "access", "decision", "rule", "path"])
            #expect(first["decision"] as? String == "deny" && first["rule"] as? Int == 2 && first["zone"] as? String == "internet")
            #expect(try permissions(folder + "/audit.jsonl") == 0o600)
        }
    }

    @Test func textsOfPeersAreBoundedAndStayOnTheirLine() async throws {
        try await withTemporaryDirectory { folder in
            let hostile = "x\n\"}\u{1b}" + String(repeating: "€", count: 100_000)
            let lines = try await Self.written([Self.record(hostile), Self.record("next")], in: folder)
            #expect(lines.count == 2)
            #expect(lines[0].record.target.hasPrefix("x\n\"}") && lines[0].record.target.utf8.count < 600)
        }
    }

    /// One character of a megabyte is not one of four bytes.
    @Test func aTowerOfMarksIsCutByItsBytes() async throws {
        try await withTemporaryDirectory { folder in
            let tower = "e" + String(repeating: "\u{301}", count: 1 << 19)
            var record = Self.record(tower)
            record.detail = tower
            let lines = try await Self.written(Array(repeating: record, count: 9), in: folder)
            #expect(lines.count == 9)
            for line in lines { #expect(line.record.target.utf8.count < 600 && (line.record.detail?.utf8.count ?? 0) < 600) }
            let size = try FileManager.default.attributesOfItem(atPath: folder + "/audit.jsonl")[.size] as? NSNumber
            #expect(size?.intValue ?? .max < 20_000)
        }
    }

    /// Where all calls are written down, those who are let in make as many lines as they like: one caller ten a minute for each of its
    /// ways, several callers together as many as fill all files.
    @Test func permittedCallsPushOutNoDenials() async throws {
        try await withTemporaryDirectory { folder in
            var settings = AuditSettings()
            (settings.fileSize, settings.fileCount, settings.isForAllCalls) = (10_000, 2, true)
            let log = AuditLog(file: folder + "/audit.jsonl", logger: Self.quiet)
            log.configure(settings)
            try await log.whileWriting { log.record(Self.record("ALMotion.moveTo")) }
            // What waits together is written together.
            for batch in 0..<5 {
                try await log.whileWriting {
                    for number in 0..<100 {
                        var call = Self.record("A.b", allowed: true)
                        call.principal = "caller\(batch * 100 + number)@lab.example"
                        log.record(call)
                    }
                }
            }
            var lines: [AuditLine] = []
            _ = try AuditReader([folder + "/audit.jsonl"]).read { lines.append($0) }
            #expect(lines.contains { $0.record.principal == "caller499@lab.example" })
            #expect(!lines.contains { $0.record.principal == "caller0@lab.example" }, "the files of the calls are full")
            #expect(lines.map(\.record).contains(Self.record("ALMotion.moveTo")))
            #expect(lines.contains { $0.record.event == "call" })
            #expect(try names(in: folder).contains("audit-calls.jsonl"))
        }
    }

    @Test func filesAreRotatedAndBoundedInSizeAndNumber() throws {
        try withTemporaryDirectory { folder in
            var settings = AuditSettings()
            (settings.fileSize, settings.fileCount) = (10_000, 3)
            let file = AuditFile(folder + "/audit.jsonl")
            file.settings = settings
            for number in 0..<1000 {
                try file.append([AuditLine(time: Date(), record: Self.record("A.\(number)")).encoded()])
            }
            file.close()
            #expect(try names(in: folder) == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"])
            var numbers: [Int] = []
            _ = try AuditReader([folder + "/audit.jsonl"]).read { numbers.append(Int($0.record.target.dropFirst(2)) ?? -1) }
            // The newest, in order, without a gap.
            #expect(numbers.last == 999 && numbers.count > 50)
            #expect(numbers == Array((1000 - numbers.count)..<1000))
            for name in try names(in: folder) {
                let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)
                #expect((attributes[.size] as? NSNumber)?.intValue ?? .max <= 10_000)
                #expect(try permissions(folder + "/" + name) == 0o600)
            }
            // With fewer files allowed, the old ones go.
            file.settings.fileCount = 1
            for _ in 0..<200 { try file.append([AuditLine(time: Date(), record: Self.record("B")).encoded()]) }
            file.close()
            #expect(try names(in: folder) == ["audit.jsonl"])
        }
    }

    @Test func whatComesTooFastIsCountedAndNeverWaitedFor() async throws {
        try await withTemporaryDirectory { folder in
            let log = AuditLog(file: folder + "/audit.jsonl", logger: Self.quiet)
            // Nobody writes yet.
            for number in 0..<5000 { log.record(Self.record("A.\(number)", allowed: true)) }
            try await log.whileWriting {}
            var lines: [AuditLine] = []
            _ = try AuditReader([folder + "/audit.jsonl"]).read { lines.append($0) }
            #expect(lines.count == 4097)
            #expect(lines.last?.record.event == "dropped")
            #expect(lines.last?.record.detail == "904 records came faster than they could be written")
        }
    }

    /// Strangers have files of their own: however many of them come from wherever, the others keep what they have.
    @Test func strangersPushOutNeitherChangesNorDenials() async throws {
        try await withTemporaryDirectory { folder in
            var settings = AuditSettings()
            (settings.fileSize, settings.fileCount) = (10_000, 2)
            let change = AuditRecord(
                event: "revoke", principal: "uid:1000", zone: .internal, target: "op@lab.example", access: "revoke", isAllowed: true, path: "unix")
            let log = AuditLog(file: folder + "/audit.jsonl", logger: Self.quiet)
            log.configure(settings)
            try await log.whileWriting {
                log.record(change)
                log.record(Self.record("ALMotion.moveTo"))
                for number in 0..<2_000 {
                    var stranger = Self.record("A.b")
                    (stranger.principal, stranger.place) = ("user:\(number)", "10.0.\(number / 250).\(number % 250)")
                    log.record(stranger)
                }
            }
            var lines: [AuditLine] = []
            _ = try AuditReader([folder + "/audit.jsonl"]).read { lines.append($0) }
            #expect(lines.map(\.record).contains(change))
            #expect(lines.map(\.record).contains(Self.record("ALMotion.moveTo")))
            let sizes = try names(in: folder).filter { $0.contains("strangers") }.map {
                (try FileManager.default.attributesOfItem(atPath: folder + "/" + $0)[.size] as? NSNumber)?.intValue ?? .max
            }
            // In one write at most as much as may wait.
            #expect(!sizes.isEmpty && sizes.count <= 2)
            for name in try names(in: folder) { #expect(try permissions(folder + "/" + name) == 0o600) }
        }
    }

    @Test func aDamagedLineIsPassedOver() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/audit.jsonl"
            let good = String(decoding: try AuditLine(time: Date(), record: Self.record("A.b")).encoded(), as: UTF8.self)
            try write("\(good)\nhalf a li\n\(good)\n{}\n" + String(repeating: "x", count: 200_000) + "\n\(good)", to: path)
            var count = 0
            let damaged = try AuditReader([path]).read { _ in count += 1 }
            #expect(count == 3 && damaged >= 3)
            let error = #expect(throws: MeshError.self) { try AuditReader([folder + "/none"]).read { _ in } }
            #expect(error?.code == .notFound)
        }
    }

    @Test func aFileInTheWayIsNotWrittenTo() throws {
        try withTemporaryDirectory { folder in
            try write("mine", to: folder + "/target")
            try FileManager.default.createSymbolicLink(atPath: folder + "/audit.jsonl", withDestinationPath: folder + "/target")
            let file = AuditFile(folder + "/audit.jsonl")
            let line = try AuditLine(time: Date(), record: Self.record("A.b")).encoded()
            #expect(throws: MeshError.self) { try file.append([line]) }
            #expect(try String(contentsOfFile: folder + "/target", encoding: .utf8) == "mine")
        }
    }

    /// Two processes of one user, each with its own files: neither puts the other's aside.
    @Test func twoWritersKeepAllTheirLinesAndAreReadAsOne() throws {
        try withTemporaryDirectory { folder in
            let paths = [folder + "/audit.jsonl", folder + "/audit-gateway.jsonl"]
            let files = paths.map { AuditFile($0) }
            for file in files { (file.settings.fileSize, file.settings.fileCount) = (10_000, 100) }
            let start = Date(timeIntervalSince1970: 1_800_000_000)
            for number in 0..<600 {
                // In turns of different length.
                let file = files[number % 7 < 3 ? 0 : 1]
                try file.append([AuditLine(time: start + Double(number), record: Self.record("A.\(number)")).encoded()])
            }
            for file in files { file.close() }
            for name in ["audit.jsonl.1", "audit-gateway.jsonl.1"] { #expect(try names(in: folder).contains(name)) }
            var targets: [String] = []
            #expect(try AuditReader(paths).read { targets.append($0.record.target) } == 0)
            #expect(targets == (0..<600).map { "A.\($0)" })
        }
    }
}
