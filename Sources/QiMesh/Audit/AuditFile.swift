import Foundation

/// The file that audit lines are appended to. When it has grown, it is put aside: `audit.jsonl.1` is the last one before, and what is
/// older than the allowed number of files goes. Used by one thread at a time.
final class AuditFile {
    private let path: String
    private var handle: FileHandle?
    private var size = 0
    var settings = AuditSettings()

    init(_ path: String) { self.path = path }

    /// Appends lines, in one write.
    ///
    /// - Throws: `system` when the file cannot be opened or written; nothing is kept of the lines then.
    func append(_ lines: [[UInt8]]) throws(MeshError) {
        var bytes = Data()
        for line in lines {
            bytes.append(contentsOf: line)
            bytes.append(UInt8(ascii: "\n"))
        }
        if size > 0, size + bytes.count > settings.fileSize { try rotate() }
        let handle = try open()
        do {
            try handle.write(contentsOf: bytes)
            size += bytes.count
        } catch {
            close()
            throw MeshError(.system, "cannot write \(path)", cause: error)
        }
    }

    func close() {
        // What was written is with the kernel; there is nothing to do about an error here.
        try? handle?.close()
        handle = nil
    }

    private func open() throws(MeshError) -> FileHandle {
        if let handle { return handle }
        let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw PrivateFile.failure(.system, "cannot open \(path)") }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        guard let status = FileStatus(descriptor: descriptor), status.isRegularFile, status.owner == geteuid(),
            fchmod(descriptor, 0o600) == 0, let end = try? handle.seekToEnd()
        else { throw MeshError(.system, "\(path) is not a file of this user") }
        size = Int(end)
        self.handle = handle
        return handle
    }

    private func rotate() throws(MeshError) {
        close()
        for number in stride(from: settings.fileCount - 1, through: 1, by: -1) {
            let older = Self.name(path, number)
            let newer = Self.name(path, number - 1)
            guard rename(newer, older) == 0 || errno == ENOENT else { throw PrivateFile.failure(.system, "cannot put \(newer) aside") }
        }
        if settings.fileCount == 1, unlink(path) != 0, errno != ENOENT { throw PrivateFile.failure(.system, "cannot remove \(path)") }
        // After the number was made smaller.
        var number = settings.fileCount
        while unlink(Self.name(path, number)) == 0, number < 100 { number += 1 }
        size = 0
    }

    /// The present file for 0, those before it for 1, 2 and so on.
    static func name(_ path: String, _ number: Int) -> String { number == 0 ? path : "\(path).\(number)" }
}
