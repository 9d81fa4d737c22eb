/// Where the password of an account comes from. Never the command line, which every user of the machine can read, and never the
/// configuration file, which gets copied and shown.
public enum PasswordSource: Hashable, Sendable {
    /// A file that holds the password and nothing else; a byte order mark before it and line ends after it are not part of it. Refused
    /// when other users can read it.
    case file(String)
    /// An environment variable.
    case environment(String)

    /// The variable that serves the one account without a `password-file`.
    public static let variable = "QIMESH_XMPP_PASSWORD"

    private static let lengthLimit = 1_024
    /// For a byte order mark and blank lines.
    private static let editorsShare = 16

    /// Reads the password.
    /// - Parameters:
    ///   - jid: the account, for messages.
    ///   - environment: the variables of this process.
    /// - Throws: `configuration` when there is none, it is longer than 1 024 bytes, spans lines, is not UTF-8, or its file is
    ///   open to others.
    public func password(for jid: String, environment: [String: String]) throws(MeshError) -> Password {
        switch self {
        case .file(let path):
            guard
                let bytes = try PrivateFile.read(path, limit: Self.lengthLimit + Self.editorsShare, refusing: .readable, code: .configuration)
            else {
                throw MeshError(
                    .configuration, "there is no password file \(path) for \(jid)",
                    hint: "put the password into it, then chmod 600 \(PrivateFile.quoted(path))")
            }
            let text = try PlainText.decode(bytes, path)
            return try Self.check(Array((PlainText.onlyLine(text) ?? text[...]).utf8), origin: path)
        case .environment(let name):
            guard let value = environment[name], !value.isEmpty else {
                throw MeshError(
                    .configuration, "there is no password for \(jid)", hint: "set password-file in the configuration, or \(name)")
            }
            return try Self.check(Array(value.utf8), origin: "$\(name)")
        }
    }

    private static func check(_ bytes: [UInt8], origin: String) throws(MeshError) -> Password {
        var bytes = bytes[...]
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard !bytes.isEmpty else { throw MeshError(.configuration, "\(origin) holds no password") }
        guard bytes.count <= lengthLimit else {
            throw MeshError(.configuration, "the password in \(origin) is longer than \(lengthLimit) bytes")
        }
        guard !bytes.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw MeshError(.configuration, "the password in \(origin) spans lines or holds control characters")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw MeshError(.configuration, "the password in \(origin) is not UTF-8")
        }
        return Password(text)
    }
}
