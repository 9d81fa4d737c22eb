import QiMessaging

/// Whose bus is meant.
enum DeviceName: Hashable {
    /// A nickname of this node's roster or a JID, found by the node.
    case contact(String)
    /// The URL of a directory, connected to without a node.
    case directory(String)

    /// The longest JID, in bytes: three parts of 1023 (RFC 7622 §3.1).
    static let lengthLimit = 3_071

    /// - Throws: `usage` for a text that can be neither.
    init(_ text: String) throws(CommandFailure) {
        guard !text.isEmpty else { throw .usage("the device's name is empty", hint: "qimesh devices lists them") }
        if text.contains("://") || text.hasPrefix("unix:") {
            guard Endpoint(text) != nil else {
                throw .usage("\"\(text)\" is not a URL of a directory", hint: "for example tcp://10.0.0.5:9559")
            }
            self = .directory(text)
            return
        }
        guard text.utf8.count <= Self.lengthLimit, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw .usage("the device's name is too long or holds control characters")
        }
        self = .contact(text)
    }

    /// The nickname or JID, nil for a directory.
    var contact: String? {
        if case .contact(let name) = self { name } else { nil }
    }

    /// As it was typed.
    var text: String {
        switch self {
        case .contact(let name): name
        case .directory(let url): url
        }
    }
}
