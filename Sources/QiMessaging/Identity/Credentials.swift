import QiWire

/// What a client presents to prove who it is, as NAOqi's clients do: a user name and a token, on the wire `auth_user` and `auth_token`
/// (wire reference §10). Never printed.
public struct Credentials: Sendable, Equatable {
    public let user: String
    public let token: String

    /// Longer ones are nobody's.
    public static let maximumLength = 1024

    public init(user: String, token: String) {
        self.user = user
        self.token = token
    }

    /// As an authenticate call holds them.
    var capabilities: Capabilities {
        var map = Capabilities()
        map[Capabilities.Name.credentialPrefix + "user"] = QiDynamic(.string(QiString(user)))
        map[Capabilities.Name.credentialPrefix + "token"] = QiDynamic(.string(QiString(token)))
        return map
    }

    /// What an authenticate call holds; nil when it holds neither.
    ///
    /// - Throws: `.denied` for one of the two alone, for anything but strings, and for texts that are empty or too long.
    init?(_ capabilities: Capabilities) throws(QiError) {
        let given = capabilities.credentials
        guard given["user"] != nil || given["token"] != nil else { return nil }
        guard let user = given["user"]?.value.asString, let token = given["token"]?.value.asString,
            (1...Self.maximumLength).contains(user.utf8.count), (1...Self.maximumLength).contains(token.utf8.count)
        else { throw QiError(.denied, "user and token have to be given both, as texts") }
        self.init(user: user, token: token)
    }
}

extension Credentials: CustomStringConvertible, CustomReflectable {
    public var description: String { "credentials of \(user)" }

    public var customMirror: Mirror { Mirror(self, children: ["user": user]) }
}
