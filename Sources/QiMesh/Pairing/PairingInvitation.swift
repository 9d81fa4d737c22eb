import Crypto
import Foundation
import XMPP

/// What `qimesh enroll` shows and `qimesh pair` takes: all that a fresh device needs to pair with another one.
///
/// Written as `qimesh:JID/TOKEN/KEY.CHECK[/RESOURCE[/NAME]]`: the bare address, the secret (22 characters), the SHA-256 of the
/// enrolling device's public key (43 characters), six characters that tell whether all of the text is there and as it was, the
/// resource its account is logged in with if that is not `qimesh`, and the nickname its owner gave it. What is not a letter, a digit or one of `-._~@` is percent-encoded (RFC 3986 §2.1), so the text needs no quotes
/// in a shell.
///
/// Not the `xmpp:` address of XEP-0379: a chat program that opened it would send the secret to the servers.
struct PairingInvitation: Sendable {
    /// The bare address of the enrolling device's account.
    var jid: JID
    /// The secret.
    var token: PairingToken
    /// The only key the enrolling device may have.
    var key: KeyFingerprint
    /// What its account is logged in as.
    var resource: String
    /// What it is called, empty when it has no name. At most 64 bytes.
    var name: String

    private static let scheme = "qimesh:"
    private static let usualResource = "qimesh"
    /// More than the two longest parts of an address in percent-encoding.
    private static let lengthLimit = 8_192
    static let nameLimit = 64

    /// The full address that answers for the token.
    var address: JID? { jid.with(resource: resource) }

    /// The written form.
    var text: String {
        var parts = [
            Self.encode(jid.description), token.text, Base64URL.encode(key.digest),
            resource == Self.usualResource ? "" : Self.encode(resource), Self.encode(name),
        ]
        while parts.last == "" { parts.removeLast() }
        parts[2] += "." + Self.check(parts)
        return Self.scheme + parts.joined(separator: "/")
    }

    /// Of the parts as they are written: whoever types or copies them loses an end or a character, and a shorter name is a name, too.
    /// No secret and no proof.
    static func check(_ parts: [some StringProtocol]) -> String {
        let digest = SHA256.hash(data: Data((scheme + parts.joined(separator: "/")).utf8))
        return Base64URL.encode(Array(digest.prefix(4)))
    }

    init(jid: JID, token: PairingToken, key: KeyFingerprint, resource: String, name: String) {
        self.jid = jid.bare
        self.token = token
        self.key = key
        self.resource = resource
        self.name = Self.bounded(name)
    }

    /// Reads the written form; white space around it does not matter.
    /// - Throws: `usage`, saying what is wrong without repeating the secret.
    init(parsing text: String) throws(MeshError) {
        let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard text.utf8.count <= Self.lengthLimit, text.hasPrefix(Self.scheme) else {
            throw Self.unusable("it does not begin with \"\(Self.scheme)\"")
        }
        var parts = text.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard (3...5).contains(parts.count) else { throw Self.unusable("it has \(parts.count) parts instead of 3 to 5") }
        let sealed = parts[2].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        parts[2] = sealed[0]
        guard sealed.count == 2, sealed[1] == Self.check(parts) else { throw Self.unusable("it was cut short or changed on the way") }
        guard let jid = parts[0].removingPercentEncoding.flatMap({ JID($0) }), jid.isBare, jid.node != nil else {
            throw Self.unusable("its first part is no address of the form name@server")
        }
        guard let token = PairingToken(parts[1]) else { throw Self.unusable("the secret in it is damaged") }
        guard let digest = Base64URL.decode(parts[2], count: 32) else { throw Self.unusable("the fingerprint in it is damaged") }
        var resource = Self.usualResource
        if parts.count > 3, !parts[3].isEmpty {
            guard let text = parts[3].removingPercentEncoding, jid.with(resource: text) != nil else {
                throw Self.unusable("the resource in it is damaged")
            }
            resource = text
        }
        var name = ""
        if parts.count > 4 {
            guard let text = parts[4].removingPercentEncoding, text.utf8.count <= Self.nameLimit else {
                throw Self.unusable("the name in it is damaged")
            }
            name = text
        }
        self.init(jid: jid, token: token, key: KeyFingerprint(digest: digest), resource: resource, name: name)
    }

    private static func unusable(_ reason: String) -> MeshError {
        MeshError(.usage, "that is no pairing token: \(reason)", hint: "copy the whole line of `qimesh enroll`")
    }

    private static func bounded(_ name: String) -> String {
        var name = name
        while name.utf8.count > nameLimit { name.removeLast() }
        return name
    }

    private static let plain: CharacterSet = {
        var set = CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        set.insert(charactersIn: "-._~@")
        return set
    }()

    private static func encode(_ text: String) -> String { text.addingPercentEncoding(withAllowedCharacters: plain) ?? "" }
}
