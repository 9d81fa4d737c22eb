import CQiSystem
import Glibc

/// Where the unix sockets of sessions live: a folder of this user that nobody else can enter, `$XDG_RUNTIME_DIR/qimesh` or
/// `/tmp/qimesh-UID`.
enum PrivateSockets {
    /// An endpoint that no other process has. Removes what crashed processes left in the folder.
    ///
    /// - Throws: `.denied` when the folder is somebody else's, `.invalid` when it cannot be made.
    static func newEndpoint() throws(QiError) -> Endpoint {
        let folder = try self.folder(runtime: getenv("XDG_RUNTIME_DIR").map { String(cString: $0) })
        removeStale(in: folder, olderThan: 60)
        let name = String(UInt64.random(in: .min ... .max), radix: 36)
        guard let endpoint = Endpoint("unix:\(folder)/\(getpid())-\(name).sock") else {
            throw QiError(.invalid, "\(folder) is too long for a socket in it", hint: "set XDG_RUNTIME_DIR to a shorter path")
        }
        return endpoint
    }

    /// The folder, made if it is missing.
    static func folder(runtime: String?) throws(QiError) -> String {
        if let runtime, runtime.hasPrefix("/"), runtime.utf8.count <= 60, let made = try? make("\(runtime)/qimesh") { return made }
        return try make("/tmp/qimesh-\(getuid())")
    }

    /// Never follows a link, never takes a folder that another user made under the name first.
    private static func make(_ path: String) throws(QiError) -> String {
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw QiError(.invalid, "cannot make \(path): \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == getuid() else {
            throw QiError(
                .denied, "\(path) is not a folder of this user's: no socket is put there",
                hint: "remove it, or set XDG_RUNTIME_DIR to a folder of your own")
        }
        if status.st_mode & 0o777 != 0o700, chmod(path, 0o700) != 0 {
            throw QiError(.denied, "cannot make \(path) private: \(String(cString: strerror(errno)))")
        }
        return path
    }

    /// Removes sockets that nobody listens at any more. Young ones stay: between bind and listen nobody answers either.
    static func removeStale(in folder: String, olderThan seconds: Int) {
        guard let directory = opendir(folder) else { return }
        defer { closedir(directory) }
        var examined = 0
        while examined < 1000, let entry = readdir(directory) {
            examined += 1
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasSuffix(".sock") else { continue }
            let path = "\(folder)/\(name)"
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK,
                qimesh_age(path) >= seconds, qimesh_is_refused(path) == 1
            else { continue }
            unlink(path)
        }
    }
}
