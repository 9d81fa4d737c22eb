import Foundation

/// A policy file that somebody edits: a copy, which takes the file's place only when it can be read, as `visudo` does.
public struct PolicyDraft: Sendable {
    /// The file; where its name leads, when it is a symbolic link.
    public let path: String
    /// The copy that is edited, beside it.
    public let draft: String
    private let original: [UInt8]?

    private static let sizeLimit = 1 << 20
    private static let beginning = """
        # Who may do what. The first rule that names the caller and lists the target decides; inside a rule deny is read before allow;
        # what no rule lists is denied to everybody from outside. To see what a rule decides: qimesh policy check WHO TARGET
        rules:
          - who: zone:internal
            allow: ["*"]

        """

    /// Makes the copy, of a beginning when there is no file yet.
    ///
    /// - Throws: `configuration` when the file cannot be read or may be changed by others, or nothing can be written beside it.
    public init(of path: String) throws(MeshError) {
        let file = URL(fileURLWithPath: path).resolvingSymlinksInPath()
        self.path = file.path
        original = try PrivateFile.read(self.path, limit: Self.sizeLimit, refusing: .writable, code: .configuration)
        draft = file.deletingLastPathComponent().path + "/.policy-\(String(UInt64.random(in: .min ... .max), radix: 36)).yaml"
        guard try PrivateFile.create(draft, with: original ?? Array(Self.beginning.utf8), code: .configuration) else {
            throw MeshError(.configuration, "\(draft) exists already")
        }
    }

    /// What became of an edited copy.
    public enum Outcome: Sendable {
        case unchanged
        /// It is in the file's place.
        case replaced(PolicyFile)
        /// Somebody else changed the file meanwhile: it is as he left it.
        case outdated
    }

    /// Puts the copy in the file's place.
    ///
    /// - Throws: `configuration` for a mistake in it, as ``PolicyFile/load(_:)``. The file then is as before.
    public func commit() throws(MeshError) -> Outcome {
        guard let bytes = try PrivateFile.read(draft, limit: Self.sizeLimit, refusing: .writable, code: .configuration) else {
            throw MeshError(.configuration, "the copy that was edited is gone: \(draft)")
        }
        guard bytes != original ?? Array(Self.beginning.utf8) else { return .unchanged }
        let text = try PlainText.decode(bytes, path)
        let file = try PolicyFile.parse(text, path: path)
        let present = try PrivateFile.read(path, limit: Self.sizeLimit, refusing: .writable, code: .configuration)
        guard present == original else { return .outdated }
        try PrivateFile.replace(path, with: bytes, code: .configuration)
        return .replaced(file)
    }

    /// Removes the copy.
    public func discard() { unlink(draft) }
}
