/// One XML element as a value.
///
/// Shape: a name, a namespace, attributes, child elements, and the element's own character data in one string. The order of
/// text between children is not kept; no stanza this module reads or writes depends on it. A namespace of nil means "the
/// parent's". Attributes have no namespaces: libstrophe drops their prefixes.
public struct Element: Hashable, Sendable {
    /// Local name, for example `query`.
    public var name: String
    /// Namespace, or nil for the parent's.
    public var namespace: String?
    /// Attributes by local name, without `xmlns`.
    public var attributes: [String: String]
    /// Child elements in document order.
    public var children: [Element]
    /// Character data directly inside this element, joined.
    public var text: String

    /// Makes an element.
    public init(
        _ name: String, namespace: String? = nil, attributes: [String: String] = [:], children: [Element] = [],
        text: String = ""
    ) {
        self.name = name
        self.namespace = namespace
        self.attributes = attributes
        self.children = children
        self.text = text
    }

    /// An attribute's value, nil when it is absent.
    public subscript(_ attribute: String) -> String? {
        get { attributes[attribute] }
        set { attributes[attribute] = newValue }
    }

    /// The first child of that name and namespace; a child without a namespace has this element's.
    public subscript(_ name: String, _ namespace: String) -> Element? {
        children.first { $0.name == name && ($0.namespace ?? self.namespace) == namespace }
    }

    /// The first child of that name, whatever its namespace.
    public func child(_ name: String) -> Element? {
        children.first { $0.name == name }
    }

    /// All children of that name; with a namespace, only those in it.
    public func children(_ name: String, _ namespace: String? = nil) -> [Element] {
        children.filter { $0.name == name && (namespace == nil || ($0.namespace ?? self.namespace) == namespace) }
    }

    /// True when this element has that name and namespace.
    public func isNamed(_ name: String, _ namespace: String) -> Bool {
        self.name == name && self.namespace == namespace
    }
}

extension Element: CustomStringConvertible {
    /// The element as XML text, as it would be sent.
    public var description: String {
        var bytes: [UInt8] = []
        render(into: &bytes, parentNamespace: nil)
        return String(decoding: bytes, as: UTF8.self)
    }
}
