import Foundation

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Files that only their owner may read, and the two ways of writing them: whole or not at all.
///
/// Every check is made on the open descriptor, so that what was checked is what is read.
enum PrivateFile {
    /// What a file is refused for.
    enum Exposure {
        /// Group or others may read or write it: for keys and passwords.
        case readable
        /// Group or others may write it: for what must not be forged but is no secret.
        case writable

        var mask: UInt32 {
            switch self {
            case .readable: 0o077
            case .writable: 0o022
            }
        }
    }

    /// Reads a file of at most `limit` bytes; `nil` when there is none.
    ///
    /// A file of another user than ourselves or root, one that is no regular file and one that is exposed are refused; of files that must
    /// not be forged those on a read-only mount are taken.
    static func read(
        _ path: String, limit: Int, refusing exposure: Exposure, code: MeshError.Code
    ) throws(MeshError) -> [UInt8]? {
        // O_NONBLOCK: opening a FIFO put in the file's place must not hang the node.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure(code, "cannot open \(path)")
        }
        defer { close(descriptor) }
        guard let status = FileStatus(descriptor: descriptor) else { throw failure(code, "cannot examine \(path)") }
        guard status.isRegularFile else { throw MeshError(code, "\(path) is not a regular file") }
        // A file that is mounted for reading alone, as into a container, belongs to a user of another system, and root has mounted it.
        if exposure == .writable, isReadOnly(descriptor) { return try drain(descriptor, path: path, limit: limit, code: code) }
        guard status.owner == geteuid() || status.owner == 0 else {
            throw MeshError(
                code, "\(path) belongs to user \(status.owner), not to the user who runs this (\(geteuid()))",
                hint: "chown \(geteuid()) \(quoted(path))")
        }
        if status.permissions & exposure.mask != 0 {
            let verb = exposure == .readable ? "read" : "changed"
            throw MeshError(
                code, "\(path) can be \(verb) by other users (mode \(octal(status.permissions)))",
                hint: "chmod \(exposure == .readable ? "600" : "go-w") \(quoted(path))")
        }
        return try drain(descriptor, path: path, limit: limit, code: code)
    }

    private static func isReadOnly(_ descriptor: Int32) -> Bool {
        var status = statvfs()
        return fstatvfs(descriptor, &status) == 0 && status.f_flag & UInt(ST_RDONLY) != 0
    }

    /// Reads a file that need not be private, such as the configuration; `nil` when there is none.
    static func readPublic(_ path: String, limit: Int, code: MeshError.Code) throws(MeshError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure(code, "cannot open \(path)")
        }
        defer { close(descriptor) }
        return try drain(descriptor, path: path, limit: limit, code: code)
    }

    /// Puts `bytes` in the file's place in one step: a reader sees the old file or the new one, a crash leaves one of the two.
    static func replace(_ path: String, with bytes: [UInt8], code: MeshError.Code) throws(MeshError) {
        let temporary = try writeBeside(path, bytes, code: code)
        guard rename(temporary, path) == 0 else {
            let error = failure(code, "cannot replace \(path)")
            unlink(temporary)
            throw error
        }
        try syncDirectory(of: path, code: code)
    }

    /// Makes the file with `bytes` unless it exists; `false` when somebody else made it first. Their file is then complete.
    static func create(_ path: String, with bytes: [UInt8], code: MeshError.Code) throws(MeshError) -> Bool {
        let temporary = try writeBeside(path, bytes, code: code)
        defer { unlink(temporary) }
        // link() and not rename(): of two processes that start together exactly one must win.
        guard link(temporary, path) == 0 else {
            if errno == EEXIST { return false }
            throw failure(code, "cannot create \(path)")
        }
        try syncDirectory(of: path, code: code)
        return true
    }

    /// Runs `body` while no other process does so for the same `path`. Blocks for as long as the other needs, which is one small
    /// file.
    static func exclusively<Result>(
        _ path: String, code: MeshError.Code, _ body: () throws(MeshError) -> Result
    ) throws(MeshError) -> Result {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(code, "cannot open \(path)") }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw failure(code, "cannot lock \(path)") }
        }
        return try body()
    }

    private static func drain(_ descriptor: Int32, path: String, limit: Int, code: MeshError.Code) throws(MeshError) -> [UInt8] {
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            // The name without a module would be ours.
            #if canImport(Glibc)
                let count = Glibc.read(descriptor, &chunk, chunk.count)
            #else
                let count = Darwin.read(descriptor, &chunk, chunk.count)
            #endif
            if count == 0 { return content }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw failure(code, "cannot read \(path)")
            }
            guard content.count + count <= limit else { throw MeshError(code, "\(path) is larger than \(limit) bytes") }
            content += chunk[..<count]
        }
    }

    /// Writes a new file of mode 0600 in the same directory and returns its path; it is on the disk when this returns.
    private static func writeBeside(_ path: String, _ bytes: [UInt8], code: MeshError.Code) throws(MeshError) -> String {
        let temporary = "\(path).\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure(code, "cannot write in \(directory(of: path))") }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let error = failure(code, "cannot write \(temporary)")
                unlink(temporary)
                throw error
            }
            written += count
        }
        guard fsync(descriptor) == 0 else {
            let error = failure(code, "cannot write \(temporary) to the disk")
            unlink(temporary)
            throw error
        }
        return temporary
    }

    /// The new name is on the disk only when its directory is.
    private static func syncDirectory(of path: String, code: MeshError.Code) throws(MeshError) {
        let descriptor = open(directory(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(code, "cannot open \(directory(of: path))") }
        defer { close(descriptor) }
        // Some file systems of containers cannot sync a directory and say EINVAL; the content is safe all the same.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw failure(code, "cannot write \(directory(of: path)) to the disk")
        }
    }

    static func directory(of path: String) -> String {
        let directory = (path as NSString).deletingLastPathComponent
        return directory.isEmpty ? "." : directory
    }

    /// The message with the system's own words for the last error. Call it before anything else can change `errno`.
    static func failure(
        _ code: MeshError.Code, _ message: String, file: String = #fileID, line: Int = #line
    ) -> MeshError {
        let number = errno
        return MeshError(code, "\(message): \(String(cString: strerror(number)))", file: file, line: line)
    }

    static func octal(_ mode: UInt32) -> String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// The path as a shell word, for hints that are copied into a terminal.
    static func quoted(_ path: String) -> String { ShellWord.quoted(path) }
}
