import CQiSystem
import Glibc

/// What the system says about a file.
struct FileStatus {
    private let status: qimesh_file_status

    /// Examines an open file; `nil` with `errno` set when that fails.
    init?(descriptor: Int32) {
        var status = qimesh_file_status()
        guard qimesh_fstat(descriptor, &status) == 0 else { return nil }
        self.status = status
    }

    /// Examines what a path leads to; `nil` with `errno` set when that fails.
    init?(path: String) {
        var status = qimesh_file_status()
        guard qimesh_stat(path, &status) == 0 else { return nil }
        self.status = status
    }

    var isRegularFile: Bool { status.mode & S_IFMT == S_IFREG }
    var isDirectory: Bool { status.mode & S_IFMT == S_IFDIR }
    /// The permission bits, `0o7777` at most.
    var permissions: UInt32 { status.mode & 0o7777 }
    var owner: UInt32 { status.owner }

    /// Tells one version of a file from another: a file replaced by rename has another inode, one edited in place another time or
    /// size.
    var version: Version {
        Version(inode: status.inode, size: status.size, seconds: status.seconds, nanoseconds: status.nanoseconds)
    }

    /// See ``version``.
    struct Version: Equatable, Sendable {
        let inode: UInt64
        let size: Int64
        let seconds: Int64
        let nanoseconds: Int64
    }
}
