import Crypto

/// The hash that stands for an answer to disco#info (XEP-0115 §5), and the answer's form as XML.
enum EntityCapabilities {
    /// Why a hash may not be computed: the answer could be made to look like another one (XEP-0115 §5.4).
    enum Fault: Error, Equatable { case duplicateIdentity, duplicateFeature, duplicateForm, formWithoutType, tooLarge }

    /// Most identities, features and forms read of one answer.
    static let mostEntries = 512

    /// The string that is hashed (XEP-0115 §5.1). `<` ends each part; every list is sorted by bytes.
    static func verificationString(_ info: DiscoInfo) -> String {
        var parts = info.identities.map { "\($0.category)/\($0.type)/\($0.language)/\($0.name)" }.sorted(by: precedes)
        parts += info.features.sorted(by: precedes)
        for form in info.forms.sorted(by: { precedes($0.type, $1.type) }) {
            parts.append(form.type)
            for (name, values) in form.fields.sorted(by: { precedes($0.key, $1.key) }) {
                parts.append(name)
                parts += values.sorted(by: precedes)
            }
        }
        return parts.map { $0 + "<" }.joined()
    }

    /// The value of `ver` with the hash function `sha-1`.
    static func version(_ info: DiscoInfo) -> String {
        let digest = Insecure.SHA1.hash(data: Array(verificationString(info).utf8))
        return digest.withUnsafeBytes { digest in
            String(unsafeUninitializedCapacity: Base64.encodedCount(digest.count)) {
                Base64.encode(digest, into: UnsafeMutableRawBufferPointer($0))
            }
        }
    }

    /// "i;octet" collation; Swift's own order of strings is not that of their bytes for all of Unicode.
    private static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    /// Reads a `<query/>` of disco#info. Throws what makes it unfit to be verified; it may still be used as it is.
    static func parse(_ query: Element?, strictly: Bool) throws(Fault) -> DiscoInfo {
        let query = query ?? Element("query", namespace: Namespaces.discoInfo)
        guard query.children.count <= mostEntries else { throw .tooLarge }
        let identities = query.children("identity", Namespaces.discoInfo).map {
            DiscoInfo.Identity(
                // libstrophe drops the prefix of xml:lang.
                category: $0["category"] ?? "", type: $0["type"] ?? "", language: $0["lang"] ?? $0["xml:lang"] ?? "",
                name: $0["name"] ?? "")
        }
        let features = query.children("feature", Namespaces.discoInfo).compactMap { $0["var"] }
        var forms: [DiscoInfo.Form] = []
        for element in query.children("x", Namespaces.dataForms) {
            guard let form = try form(element) else { continue }
            if strictly && forms.contains(where: { $0.type == form.type }) { throw .duplicateForm }
            forms.append(form)
        }
        if strictly {
            guard Set(identities).count == identities.count else { throw .duplicateIdentity }
            guard Set(features).count == features.count else { throw .duplicateFeature }
        }
        return DiscoInfo(identities: identities, features: Set(features), forms: forms)
    }

    /// A form, or nil for one without a hidden FORM_TYPE, which does not count (XEP-0115 §5.4).
    private static func form(_ element: Element) throws(Fault) -> DiscoInfo.Form? {
        var type: String?
        var fields: [String: [String]] = [:]
        for field in element.children("field") {
            let values = field.children("value").map(\.text)
            if field["var"] == "FORM_TYPE" {
                guard Set(values).count <= 1 else { throw .formWithoutType }
                guard field["type"] == "hidden" else { return nil }
                type = values.first
            } else if let name = field["var"] {
                fields[name, default: []] += values
            }
        }
        return type.map { DiscoInfo.Form(type: $0, fields: fields) }
    }

    /// The `<query/>` that answers disco#info.
    static func element(_ info: DiscoInfo, node: String?) -> Element {
        var query = Element("query", namespace: Namespaces.discoInfo)
        query["node"] = node
        query.children = info.identities.map { identity in
            var element = Element("identity", attributes: ["category": identity.category, "type": identity.type])
            if !identity.name.isEmpty { element["name"] = identity.name }
            if !identity.language.isEmpty { element["xml:lang"] = identity.language }
            return element
        }
        query.children += info.features.sorted().map { Element("feature", attributes: ["var": $0]) }
        query.children += info.forms.map { form in
            let type = Element(
                "field", attributes: ["var": "FORM_TYPE", "type": "hidden"], children: [Element("value", text: form.type)])
            let fields = form.fields.sorted { $0.key < $1.key }.map { name, values in
                Element("field", attributes: ["var": name], children: values.map { Element("value", text: $0) })
            }
            return Element("x", namespace: Namespaces.dataForms, attributes: ["type": "result"], children: [type] + fields)
        }
        return query
    }
}
