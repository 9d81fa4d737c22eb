import Crypto
import QiMessaging

/// Who may come in at the gateway by user name and token. Of tokens only salted digests are kept; tokens are random and long, so that
/// nothing slower is needed. Pure.
///
/// One user is one line, `NAME SALT DIGEST` in hexadecimal digits; the digest is the SHA-256 of salt and token.
struct UserTable: Equatable {
    private struct Entry: Equatable {
        let salt: [UInt8]
        let digest: [UInt8]
    }

    private var entries: [String: Entry] = [:]

    static let maximumUsers = 4096
    /// A token of somebody's own choosing has to have so many characters, and should be random all the same.
    static let minimumToken = 16

    var names: [String] { entries.keys.sorted() }

    func contains(_ name: String) -> Bool { entries[name] != nil }

    /// 1 to 64 letters, digits and `._-@+`.
    static func isValid(name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
                    UInt8(ascii: "@"), UInt8(ascii: "+"):
                    true
                default: false
                }
            }
    }

    /// A new token: 192 random bits as 48 hexadecimal digits.
    static func newToken() -> String { hexadecimal((0..<24).map { _ in UInt8.random(in: .min ... .max) }) }

    /// Adds a user, or gives one another token.
    mutating func set(_ name: String, token: String) {
        let salt = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        entries[name] = Entry(salt: salt, digest: Self.digest(salt, token))
    }

    /// Whether there was one.
    mutating func remove(_ name: String) -> Bool { entries.removeValue(forKey: name) != nil }

    /// The digest that the token has, when it is the user's. Takes as long whatever is wrong.
    func verify(_ credentials: Credentials) -> [UInt8]? {
        let known = entries[credentials.user]
        let entry = known ?? Self.nobody
        let isRight = SHA256.hash(data: entry.salt + Array(credentials.token.utf8)) == entry.digest
        return isRight ? known?.digest : nil
    }

    /// The digest of the user's present token: another one for every token, as each has a salt of its own.
    func digest(of name: String) -> [UInt8]? { entries[name]?.digest }

    private static let nobody = Entry(salt: Array(repeating: 0, count: 16), digest: Array(repeating: 0, count: 32))

    private static func digest(_ salt: [UInt8], _ token: String) -> [UInt8] { Array(SHA256.hash(data: salt + Array(token.utf8))) }

    // MARK: - The file

    func encoded() -> [UInt8] {
        let lines = entries.sorted { $0.key < $1.key }.map { name, entry in
            "\(name) \(Self.hexadecimal(entry.salt)) \(Self.hexadecimal(entry.digest))\n"
        }
        return Array(("# Users of the gateway: name, salt, SHA-256 of salt and token. Written by `qimesh user`.\n" + lines.joined()).utf8)
    }

    init() {}

    /// - Throws: `configuration` that names the line which is none.
    init(_ bytes: [UInt8], path: String) throws(MeshError) {
        for (index, line) in try PlainText.decode(bytes, path).split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let fields = line.split(whereSeparator: \.isWhitespace)
            if fields.isEmpty || line.hasPrefix("#") { continue }
            guard fields.count == 3, Self.isValid(name: String(fields[0])), let salt = Self.bytes(fields[1]), salt.count >= 8,
                let digest = Self.bytes(fields[2]), digest.count == SHA256.byteCount, entries.count < Self.maximumUsers
            else {
                throw MeshError(
                    .configuration, "\(path):\(index + 1): this is no user with salt and digest", hint: "to write it: qimesh user add NAME")
            }
            entries[String(fields[0])] = Entry(salt: salt, digest: digest)
        }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private static func bytes(_ text: Substring) -> [UInt8]? {
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == text.count, digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
