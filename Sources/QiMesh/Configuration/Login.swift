import Foundation
public import QiMessaging

/// Who a person is where the command line has to log in: at a gateway, at a robot since NAOqi 2.9. Tokens come from files that nobody
/// else can read, never from arguments.
public enum Login {
    private static let sizeLimit = 4_096

    /// The credentials of `user`: the token is the first line of `tokenFile` if one is named, else the second of
    /// `~/.config/qimesh/auth`, whose first names the user (the layout that `qilaunch` and `qiloop` have).
    ///
    /// - Throws: `configuration` when there is no such file, it can be read by others, has more than 4 096 bytes, or holds no token of
    ///   this user.
    public static func credentials(of user: String, tokenFile: String?, paths: MeshPaths) throws(MeshError) -> Credentials {
        if let tokenFile { return Credentials(user: user, token: try token(in: tokenFile)) }
        let path = paths.loginFile
        let lines = try lines(of: path, hint: "put the token into a file of its own: --token-file FILE")
        guard lines.count >= 2, lines[0] == user else {
            throw MeshError(
                .configuration, "\(path) holds no token of \(user)",
                hint: "put the user into its first line and the token into the second, or: --token-file FILE")
        }
        return Credentials(user: user, token: lines[1])
    }

    /// The first line of a file.
    ///
    /// - Throws: as above.
    public static func token(in path: String) throws(MeshError) -> String {
        guard let line = try lines(of: path).first else { throw MeshError(.configuration, "\(path) holds no token") }
        return line
    }

    /// The bytes of a certificate's PEM file.
    ///
    /// - Throws: `configuration` when there is no such file, or other users can change it.
    public static func certificate(in path: String) throws(MeshError) -> [UInt8] {
        guard let bytes = try PrivateFile.read(path, limit: 1 << 20, refusing: .writable, code: .configuration) else {
            throw MeshError(.configuration, "there is no file \(path)")
        }
        return bytes
    }

    private static func lines(of path: String, hint: String? = nil) throws(MeshError) -> [String] {
        guard let bytes = try PrivateFile.read(path, limit: sizeLimit, refusing: .readable, code: .configuration) else {
            throw MeshError(.configuration, "there is no file \(path)", hint: hint)
        }
        // No user and no token has blanks at its ends.
        return try PlainText.decode(bytes, path).split(whereSeparator: \.isNewline)
            .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
}
