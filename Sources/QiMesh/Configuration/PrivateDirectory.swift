import Foundation

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Directories that only their owner may enter: where the identity, the trust file and the sockets live.
enum PrivateDirectory {
    /// Makes the directory (0700) and what is missing above it (0700 as well); an existing one must be ours alone.
    ///
    /// - Throws: `code` when the path is no directory, belongs to somebody else, or lets group or others in.
    static func ensure(_ path: String, code: MeshError.Code) throws(MeshError) {
        try make(path, code: code, depth: 0)
        guard let status = FileStatus(path: path) else { throw PrivateFile.failure(code, "cannot examine \(path)") }
        guard status.isDirectory else { throw MeshError(code, "\(path) is not a directory") }
        guard status.owner == geteuid() else {
            throw MeshError(
                code, "\(path) belongs to user \(status.owner), not to the user who runs this (\(geteuid()))",
                hint: "chown \(geteuid()) \(PrivateFile.quoted(path))")
        }
        guard status.permissions & 0o077 == 0 else {
            throw MeshError(
                code, "\(path) is open to other users (mode \(PrivateFile.octal(status.permissions)))",
                hint: "chmod 700 \(PrivateFile.quoted(path))")
        }
    }

    private static func make(_ path: String, code: MeshError.Code, depth: Int) throws(MeshError) {
        // Twice: above may be missing at the first attempt, and somebody else may be making the same directory at the same time.
        for attempt in 0..<2 {
            if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
            guard errno == ENOENT, attempt == 0, depth < 64, path != PrivateFile.directory(of: path) else { break }
            try make(PrivateFile.directory(of: path), code: code, depth: depth + 1)
        }
        throw PrivateFile.failure(code, "cannot create directory \(path)")
    }
}
