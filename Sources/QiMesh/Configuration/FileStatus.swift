#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the system says about a file. The one place that touches `struct stat`.
struct FileStatus {
    private let status: stat

    /// Examines an open file; `nil` with `errno` set when that fails.
    init?(descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        self.status = status
    }

    /// Examines what a path leads to; `nil` with `errno` set when that fails.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.status = status
    }

    var isRegularFile: Bool { status.st_mode & S_IFMT == S_IFREG }
    var isDirectory: Bool { status.st_mode & S_IFMT == S_IFDIR }
    /// The permission bits, `0o7777` at most.
    var permissions: UInt32 { UInt32(status.st_mode) & 0o7777 }
    var owner: UInt32 { status.st_uid }

    /// Tells one version of a file from another: a file replaced by rename has another inode, one edited in place another time or
    /// size.
    var version: Version {
        #if canImport(Glibc)
            let time = status.st_mtim
        #else
            let time = status.st_mtimespec
        #endif
        return Version(
            inode: UInt64(status.st_ino), size: Int64(status.st_size), seconds: Int64(time.tv_sec),
            nanoseconds: Int64(time.tv_nsec))
    }

    /// See ``version``.
    struct Version: Equatable, Sendable {
        let inode: UInt64
        let size: Int64
        let seconds: Int64
        let nanoseconds: Int64
    }
}
