import QiMessaging

/// Whose bus is meant.
enum DeviceName: Hashable {
    /// A name that this node's owner gave or a JID, found by the node.
    case contact(String)
    /// The URL of a directory, connected to without a node; in full, however it was typed.
    case directory(String)

    /// The longest JID, in bytes: three parts of 1023 (RFC 7622 §3.1).
    static let lengthLimit = 3_071

    /// - Throws: `usage` for a text that can be neither.
    init(_ text: String) throws(CommandFailure) {
        guard !text.isEmpty else { throw .usage("the device's name is empty", hint: "qimesh devices") }
        if Endpoint.isAddress(text) {
            guard let endpoint = Endpoint.typed(text) else {
                throw .usage("\"\(text)\" is not the address of a directory: tcp://HOST:PORT, tcps://HOST:PORT or unix:/PATH")
            }
            self = .directory(endpoint.text)
            return
        }
        let text = text.hasSuffix("/") ? String(text.dropLast()) : text
        guard text.utf8.count <= Self.lengthLimit, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw .usage("the device's name is too long or holds control characters")
        }
        self = .contact(text)
    }

    /// The nickname or JID, nil for a directory.
    var contact: String? {
        if case .contact(let name) = self { name } else { nil }
    }

    /// The nickname or JID as it was typed, the URL in full.
    var text: String {
        switch self {
        case .contact(let name): name
        case .directory(let url): url
        }
    }
}
