import Foundation
@testable import QiMessaging
import Testing

@Suite struct JournalFileTests {
    private func registration(_ id: UInt32, _ name: String) -> DirectoryJournal.Registration {
        .init(id: id, name: name, machineID: "m", sessionID: "s")
    }

    @Test func survivesItsProcess() async throws {
        try await withFolder { folder in
            let path = folder + "/journal"
            let first = try JournalFile(path, logger: quiet)
            first.append(.registered(registration(2, "a")))
            first.append(.registered(registration(3, "b")))
            first.append(.removed(2))
            // As a process that is killed leaves it: closed, with nothing said.
            first.close()
            first.append(.removed(3))
            let second = try JournalFile(path, logger: quiet)
            #expect(Array(second.journal.names.keys) == ["b"] && second.journal.ids.next == 4)
        }
    }

    @Test func isItsOwnersAlone() async throws {
        try await withFolder { folder in
            let path = folder + "/journal"
            try Data().write(to: URL(fileURLWithPath: path))
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
            let file = try JournalFile(path, logger: quiet)
            file.append(.next(5))
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func oneProcessAtATime() async throws {
        try await withFolder { folder in
            let path = folder + "/journal"
            let first = try JournalFile(path, logger: quiet)
            let error = #expect(throws: QiError.self) { _ = try JournalFile(path, logger: quiet) }
            #expect(error?.code == .conflict && error?.message.contains(path) == true)
            first.close()
            _ = try JournalFile(path, logger: quiet)
        }
    }

    @Test func aTornTailDoesNotSpoilWhatFollows() async throws {
        try await withFolder { folder in
            let path = folder + "/journal"
            let torn = DirectoryJournal.line(.registered(registration(2, "a"))) + DirectoryJournal.line(.next(9)).dropLast(4)
            try Data(torn.utf8).write(to: URL(fileURLWithPath: path))
            let first = try JournalFile(path, logger: quiet)
            first.append(.registered(registration(3, "b")))
            first.close()
            let second = try JournalFile(path, logger: quiet)
            #expect(second.journal.names.keys.sorted() == ["a", "b"])
        }
    }

    @Test func staysSmall() async throws {
        try await withFolder { folder in
            let path = folder + "/journal"
            let file = try JournalFile(path, logger: quiet)
            for round in 0..<2000 {
                let id = UInt32(2 + round)
                file.append(.registered(registration(id, "service")))
                file.append(.removed(id))
            }
            let size = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
            #expect(size <= JournalFile.smallest + 4096)
            file.close()
            let again = try JournalFile(path, logger: quiet)
            #expect(again.journal.ids.next == 2002 && again.journal.names.isEmpty)
            #expect(!FileManager.default.fileExists(atPath: path + ".new"))
        }
    }

    @Test func whereItCannotBe() async throws {
        let error = #expect(throws: QiError.self) { _ = try JournalFile("/nowhere/at/all", logger: quiet) }
        #expect(error?.code == .invalid && error?.hint != nil)
    }
}
