/// Why a Jingle session ends (XEP-0166 §7.4).
struct JingleReason: Error, Hashable, Sendable {
    /// The condition's name, at most 64 bytes of a peer's.
    var condition: String
    /// Text for a person; at most 1024 bytes of a peer's.
    var text: String

    /// A reason of ours.
    init(_ condition: String, text: String = "") {
        self.condition = condition
        self.text = text
    }

    /// Reads a reason.
    init(parsing element: Element) {
        let name = element.children.first { $0.name != "text" }?.name ?? "general-error"
        self.init(
            name.utf8.count <= 64 ? name : "general-error",
            text: (element["text", Namespaces.jingle]?.text ?? "").cut(toBytes: StanzaError.longestText))
    }

    /// The reason as it is sent.
    var element: Element {
        var children = [Element(condition, namespace: Namespaces.jingle)]
        if !text.isEmpty { children.append(Element("text", namespace: Namespaces.jingle, text: text)) }
        return Element("reason", namespace: Namespaces.jingle, children: children)
    }

    /// Whether the session ended because it was done, not because something failed.
    var isOrderly: Bool { condition == "success" || condition == "gone" }

    /// `condition: text`, for error messages.
    var summary: String { text.isEmpty ? condition : "\(condition): \(text)" }
}
