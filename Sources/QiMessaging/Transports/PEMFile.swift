import Glibc

/// Files with certificates and keys.
enum PEMFile {
    private static let sizeLimit = 1 << 20

    /// The content, without the byte order mark that some editors put before it: PEM begins at the beginning of a line (RFC 7468 §2).
    ///
    /// - Throws: `.invalid` with the system's reason, and for a file of more than 1 MiB.
    static func bytes(_ path: String) throws(QiError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path) }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count == 0 { break }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw unreadable(path)
            }
            content += chunk[..<count]
            guard content.count <= sizeLimit else { throw QiError(.invalid, "\(path) is larger than \(sizeLimit) bytes") }
        }
        return withoutMark(content)
    }

    /// The content of such a file without a byte order mark.
    static func withoutMark(_ content: [UInt8]) -> [UInt8] {
        content.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(content.dropFirst(3)) : content
    }

    private static func unreadable(_ path: String) -> QiError {
        QiError(.invalid, "\(path) cannot be read: \(FailureReason.text(errno: errno))")
    }
}
