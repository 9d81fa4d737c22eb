import CQiSystem

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the system says about a file.
struct FileStatus {
    private let file: qimesh_file

    /// Examines an open file; `nil` with `errno` set when that fails.
    init?(descriptor: Int32) {
        var file = qimesh_file()
        guard qimesh_fstat(descriptor, &file) == 0 else { return nil }
        self.file = file
    }

    /// Examines what a path leads to; `nil` with `errno` set when that fails.
    init?(path: String) {
        var file = qimesh_file()
        guard qimesh_stat(path, &file) == 0 else { return nil }
        self.file = file
    }

    var isRegularFile: Bool { mode_t(file.mode) & S_IFMT == S_IFREG }
    var isDirectory: Bool { mode_t(file.mode) & S_IFMT == S_IFDIR }
    /// The permission bits, `0o7777` at most.
    var permissions: UInt32 { file.mode & 0o7777 }
    var owner: UInt32 { file.owner }

    /// Tells one version of a file from another: a file replaced by rename has another inode, one edited in place another time or
    /// size.
    var version: Version {
        Version(inode: file.inode, size: file.size, seconds: file.seconds, nanoseconds: file.nanoseconds)
    }

    /// See ``version``.
    struct Version: Equatable, Sendable {
        let inode: UInt64
        let size: Int64
        let seconds: Int64
        let nanoseconds: Int64
    }
}
