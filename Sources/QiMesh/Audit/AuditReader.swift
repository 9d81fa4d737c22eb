import Foundation

/// Reads what the node's ``AuditLog`` and that of a separate gateway wrote, oldest first, whether they run or not.
public struct AuditReader: Sendable {
    private let paths: [String]

    /// - Parameter paths: the present files of those who write; each may have older ones beside it.
    public init(_ paths: [String]) { self.paths = paths.flatMap { path in AuditShelf.allCases.map { $0.file(beside: path) } } }

    /// Calls `body` with every record there is. Lines that are none are passed over and counted.
    ///
    /// - Returns: how many lines could not be read.
    /// - Throws: `notFound` when there is no audit file, `system` when one cannot be read.
    public func read(_ body: (AuditLine) -> Void) throws(MeshError) -> Int {
        var sources = paths.map(AuditLines.init)
        guard sources.contains(where: { !$0.files.isEmpty }) else {
            throw MeshError(
                .notFound, "nothing has been audited yet: there is no file \(paths.joined(separator: ", "))", hint: "qimesh up")
        }
        var heads: [AuditLine?] = []
        for index in sources.indices { heads.append(try sources[index].next()) }
        while let first = heads.indices.filter({ heads[$0] != nil }).min(by: { time(heads[$0]) < time(heads[$1]) }), let line = heads[first] {
            body(line)
            heads[first] = try sources[first].next()
        }
        return sources.reduce(0) { $0 + $1.damaged }
    }

    private func time(_ line: AuditLine?) -> Date { line?.time ?? .distantFuture }
}

/// The lines of one present file and of those before it, oldest first.
private struct AuditLines {
    /// Those that are left, the oldest last.
    private(set) var files: [String]
    private(set) var damaged = 0
    private var handle: FileHandle?
    private var rest = Data()
    /// Where the next line begins in ``rest``.
    private var start = 0

    /// A line of ours is far shorter.
    private static let lineLimit = 1 << 16
    private static let chunk = 1 << 16

    init(_ path: String) {
        files = access(path, F_OK) == 0 ? [path] : []
        var number = 1
        while number <= 100, access(AuditFile.name(path, number), F_OK) == 0 {
            files.append(AuditFile.name(path, number))
            number += 1
        }
    }

    mutating func next() throws(MeshError) -> AuditLine? {
        while true {
            while let bytes = try nextBytes() {
                if bytes.isEmpty { continue }
                if let line = AuditLine(bytes) { return line }
                damaged += 1
            }
            guard let file = files.popLast() else { return nil }
            handle = try Self.open(file)
        }
    }

    private static func open(_ path: String) throws(MeshError) -> FileHandle? {
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            // Put aside at this very moment.
            if errno == ENOENT { return nil }
            throw PrivateFile.failure(.system, "cannot open \(path)")
        }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// The next line of the file that is open; nil at its end.
    private mutating func nextBytes() throws(MeshError) -> Data? {
        guard let handle else { return nil }
        while true {
            if let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return rest[start..<end]
            }
            rest = Data(rest[start...])
            start = 0
            if rest.count > Self.lineLimit {
                damaged += 1
                rest = Data()
            }
            do {
                guard let data = try handle.read(upToCount: Self.chunk), !data.isEmpty else { break }
                rest += data
            } catch {
                throw MeshError(.system, "an audit file cannot be read", cause: error)
            }
        }
        self.handle = nil
        defer { rest = Data() }
        return rest
    }
}
