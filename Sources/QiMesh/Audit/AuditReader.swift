import Foundation

/// Reads what ``AuditLog`` wrote, oldest first, whether the node runs or not.
public struct AuditReader: Sendable {
    private let path: String

    /// A line of ours is far shorter.
    private static let lineLimit = 1 << 16
    private static let chunk = 1 << 16

    public init(_ path: String) { self.path = path }

    /// Calls `body` with every record there is. Lines that are none are passed over and counted.
    ///
    /// - Returns: how many lines could not be read.
    /// - Throws: `notFound` when there is no audit file, `system` when one cannot be read.
    public func read(_ body: (AuditLine) -> Void) throws(MeshError) -> Int {
        var files = [path]
        while files.count <= 100, access(AuditFile.name(path, files.count), F_OK) == 0 { files.append(AuditFile.name(path, files.count)) }
        guard files.count > 1 || access(path, F_OK) == 0 else {
            throw MeshError(.notFound, "nothing has been audited yet: there is no file \(path)", hint: "start the node: qimesh up")
        }
        var damaged = 0
        for file in files.reversed() { damaged += try Self.read(file, body) }
        return damaged
    }

    private static func read(_ path: String, _ body: (AuditLine) -> Void) throws(MeshError) -> Int {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            // Put aside at this very moment.
            if errno == ENOENT { return 0 }
            throw PrivateFile.failure(.system, "cannot open \(path)")
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var rest = Data()
        var damaged = 0
        func take(_ line: Data) {
            if line.isEmpty { return }
            if let line = AuditLine(line) { body(line) } else { damaged += 1 }
        }
        do {
            while let data = try handle.read(upToCount: chunk), !data.isEmpty {
                rest += data
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    take(rest[rest.startIndex..<end])
                    rest = Data(rest[rest.index(after: end)...])
                }
                if rest.count > lineLimit {
                    damaged += 1
                    rest = Data()
                }
            }
        } catch {
            throw MeshError(.system, "cannot read \(path)", cause: error)
        }
        take(rest)
        return damaged
    }
}
