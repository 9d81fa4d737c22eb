import Foundation
import QiMesh

/// Files that are named on the command line.
enum TypedFile {
    /// Reads a file, or a pipe that the shell made (`<(…)`).
    /// - Parameter isCut: whether of a larger one the beginning is enough.
    /// - Throws: `notFound` when there is none, `system` with the system's reason when it cannot be read, `tooLarge` above `limit` bytes.
    static func contents(_ path: String, limit: Int, isCut: Bool = false) throws(CommandFailure) -> Data {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw CommandFailure(.notFound, "there is no file \(path)") }
            throw unreadable(path, errno)
        }
        defer { close(descriptor) }
        var data = Data()
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while data.count <= limit {
            let count = Foundation.read(descriptor, &chunk, chunk.count)
            if count == 0 { return data }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw unreadable(path, errno)
            }
            data += chunk[..<count]
        }
        guard isCut else { throw CommandFailure(.tooLarge, "\(path) is larger than \(limit / 1_000_000) MB") }
        return data.prefix(limit)
    }

    private static func unreadable(_ path: String, _ error: Int32) -> CommandFailure {
        CommandFailure(.system, "\(path) cannot be read: \(String(cString: strerror(error)))")
    }
}
