/// Name and version of the software (XEP-0092).
final class VersionExtension: XMPPExtension {
    private let software: (name: String, version: String)

    init(_ software: (name: String, version: String)) { self.software = software }

    let features = [Namespaces.version]

    var requests: [RequestRule] {
        [RequestRule(Namespaces.version) { [answer] in $0.kind == .get && $0.payload.name == "query" ? .now(.success(answer)) : nil }]
    }

    private var answer: Element {
        let children = [Element("name", text: software.name), Element("version", text: software.version)]
        return Element("query", namespace: Namespaces.version, children: children)
    }
}
