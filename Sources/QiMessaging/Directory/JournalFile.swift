import Glibc
import Logging

/// A ``DirectoryJournal`` on disk, readable by its owner only. Confined to the bus loop.
///
/// Every record is written at once, so that it survives the end of the process, however that comes. It is not waited for on the
/// disk: after a cut of power the last records may be missing, and a service that returns then is one that the directory does not
/// know. When the file has grown it is rewritten beside itself, synced, and renamed into place.
final class JournalFile {
    let path: String
    private let logger: Logger
    private var descriptor: Int32
    private var size: Int
    private(set) var journal: DirectoryJournal
    private var rewriteAt: Int

    /// A real one has some kilobytes; a larger file is not ours.
    static let maximumSize = 32 << 20
    /// A file below this size is never rewritten.
    static let smallest = 64 << 10

    /// Opens the file, or makes it, and reads what it holds.
    ///
    /// - Throws: `.conflict` when another process has it open, `.invalid` when it cannot be opened.
    init(_ path: String, logger: Logger) throws(QiError) {
        self.path = path
        self.logger = logger
        let file = try Self.open(path, O_RDWR | O_CREAT | O_APPEND)
        do throws(QiError) {
            guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
                throw QiError(
                    .conflict, "\(path) is in use by another process", hint: "qimesh status; a node may be running already")
            }
            // Made by somebody with another idea of private.
            guard fchmod(file, 0o600) == 0 else { throw Self.failure("make private", path) }
            let (bytes, isWhole) = try Self.read(file, path)
            let (journal, skipped) = DirectoryJournal.replay(bytes)
            if skipped > 0 || !isWhole {
                logger.warning(
                    "parts of the directory's journal cannot be read and are skipped",
                    metadata: [LogKeys.path: "\(path)", "skipped": "\(skipped)"])
            }
            self.journal = journal
            size = bytes.count
        } catch {
            Glibc.close(file)
            throw error
        }
        descriptor = file
        rewriteAt = Self.smallest
        // Whatever was torn must not glue itself to the next record.
        if !rewrite(), Self.write([UInt8(ascii: "\n")], to: descriptor) { size += 1 }
    }

    deinit { close() }

    /// Lets go of the file; later records are not kept.
    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    func append(_ record: DirectoryJournal.Record) {
        guard descriptor >= 0 else { return }
        journal.apply(record)
        let bytes = Array(DirectoryJournal.line(record).utf8)
        guard Self.write(bytes, to: descriptor) else {
            let reason = String(cString: strerror(errno))
            // Half a line would spoil the next one.
            if ftruncate(descriptor, off_t(size)) != 0 { close() }
            return logger.error("the directory's journal cannot be written", metadata: [LogKeys.path: "\(path)", LogKeys.error: "\(reason)"])
        }
        size += bytes.count
        if size > rewriteAt { rewrite() }
    }

    /// Writes the state anew, beside the old file, and takes its place.
    @discardableResult
    private func rewrite() -> Bool {
        let temporary = path + ".new"
        let bytes = journal.records.flatMap { Array(DirectoryJournal.line($0).utf8) }
        rewriteAt = max(Self.smallest, bytes.count * 4)
        do throws(QiError) {
            unlink(temporary)
            let file = try Self.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_APPEND)
            guard flock(file, LOCK_EX | LOCK_NB) == 0, Self.write(bytes, to: file), fdatasync(file) == 0, rename(temporary, path) == 0
            else {
                let error = Self.failure("rewrite", path)
                Glibc.close(file)
                unlink(temporary)
                throw error
            }
            close()
            descriptor = file
            size = bytes.count
            Self.syncFolder(of: path)
            return true
        } catch {
            // The old file still holds everything.
            logger.warning("the directory's journal was not rewritten", metadata: [LogKeys.path: "\(path)", LogKeys.error: "\(error.message)"])
            return false
        }
    }

    // MARK: - System calls

    private static func open(_ path: String, _ flags: Int32) throws(QiError) -> Int32 {
        let file = Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw failure("open", path) }
        return file
    }

    private static func failure(_ what: String, _ path: String) -> QiError {
        QiError(
            .invalid, "cannot \(what) the directory's journal \(path): \(String(cString: strerror(errno)))",
            hint: "make its folder writable")
    }

    /// The content up to the bound, and whether that is all.
    private static func read(_ file: Int32, _ path: String) throws(QiError) -> (bytes: [UInt8], isWhole: Bool) {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= maximumSize {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { return (bytes, true) }
            bytes += chunk.prefix(count)
        }
        return (bytes, false)
    }

    private static func write(_ bytes: [UInt8], to file: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// A renamed file is safe when its folder is.
    private static func syncFolder(of path: String) {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let file = Glibc.open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { return }
        fsync(file)
        Glibc.close(file)
    }
}
