import Foundation
import QiMessaging

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Whose programs on this machine may use the robot's own bus by TCP (`internal.users`). root always may; other machines are not
/// concerned, and a unix socket is its own user's whatever this says.
public enum InternalUsers: Hashable, Sendable {
    /// The user that runs the node: what NAOqi's robots need, where one user runs everything, and a desk, where others have no business.
    case own
    case all
    /// These, by name or user id, beside the user that runs the node.
    case these([String])

    /// By user id; nil: all.
    ///
    /// - Throws: `configuration` for a name that no user of this machine has.
    func resolved() throws(MeshError) -> LocalUsers? {
        switch self {
        case .all: return nil
        case .own: return .own
        case .these(let names):
            var users: Set<UInt32> = [geteuid()]
            for name in names {
                guard let user = UInt32(name) ?? Self.user(named: name) else {
                    throw MeshError(
                        .configuration, "internal.users: there is no user \(name) on this machine",
                        hint: "getent passwd \(PrivateFile.quoted(name))")
                }
                users.insert(user)
            }
            return .these(users)
        }
    }

    private static func user(named name: String) -> UInt32? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return entry.pw_uid
    }
}

extension InternalUsers: Decodable {
    /// Decodes `own`, `all`, or a list of names and user ids.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            switch text {
            case "own": self = .own
            case "all": self = .all
            default:
                throw DecodingError.mistake(
                    ConfigurationMistake(message: "\"\(text)\" is not own, all or a list of users: users: [\(text)]"),
                    at: decoder.codingPath)
            }
            return
        }
        let names = try container.decode([String].self)
        for name in names where !Self.isValid(name) {
            throw DecodingError.mistake(ConfigurationMistake(message: "\"\(name)\" is no name and no id of a user"), at: decoder.codingPath)
        }
        guard !names.isEmpty else {
            throw DecodingError.mistake(ConfigurationMistake(message: "there is no user in this list: users: own"), at: decoder.codingPath)
        }
        self = .these(names)
    }

    private static func isValid(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
    }
}
