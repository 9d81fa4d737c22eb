/// Writing XML. Nothing that comes from outside can leave as markup or as a character XML 1.0 forbids: a server ends the
/// whole stream for one (RFC 6120 §4.9.3.13), so such characters are dropped here, at the only place where text becomes bytes.
extension Element {
    /// Deepest nesting that is written or read; deeper children are left out.
    static let deepestLevel = 64

    /// Appends this element as XML. `parentNamespace` is the namespace in force around it.
    func render(into bytes: inout [UInt8], parentNamespace: String?, level: Int = 0) {
        guard level < Element.deepestLevel, Element.isName(name) else { return }
        bytes.append(UInt8(ascii: "<"))
        bytes.append(contentsOf: name.utf8)
        if let namespace, namespace != parentNamespace {
            Element.appendAttribute("xmlns", namespace, to: &bytes)
        }
        for (key, value) in attributes.sorted(by: { $0.key < $1.key }) where key != "xmlns" && Element.isName(key) {
            Element.appendAttribute(key, value, to: &bytes)
        }
        guard !children.isEmpty || !text.isEmpty else {
            bytes.append(contentsOf: "/>".utf8)
            return
        }
        bytes.append(UInt8(ascii: ">"))
        Element.appendEscaped(text, to: &bytes)
        for child in children {
            child.render(into: &bytes, parentNamespace: namespace ?? parentNamespace, level: level + 1)
        }
        bytes.append(contentsOf: "</".utf8)
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(ascii: ">"))
    }

    /// Appends ` key='value'`. The key is one of ours or was checked by ``isName(_:)``.
    static func appendAttribute(_ key: String, _ value: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: key.utf8)
        bytes.append(contentsOf: "='".utf8)
        appendEscaped(value, to: &bytes, inAttribute: true)
        bytes.append(UInt8(ascii: "'"))
    }

    /// Appends text with `< > & ' "` escaped and the characters forbidden by XML 1.0 §2.2 dropped.
    static func appendEscaped(_ text: String, to bytes: inout [UInt8], inAttribute: Bool = false) {
        // Most text is plain ASCII: one pass over the bytes, and scalars only where a byte says they are needed.
        var text = text
        let isPlain = text.withUTF8 { utf8 in utf8.allSatisfy { isPlainByte($0) } }
        if isPlain {
            text.withUTF8 { bytes.append(contentsOf: $0) }
            return
        }
        for scalar in text.unicodeScalars {
            switch scalar {
            case "<": bytes.append(contentsOf: "&lt;".utf8)
            case ">": bytes.append(contentsOf: "&gt;".utf8)
            case "&": bytes.append(contentsOf: "&amp;".utf8)
            case "'": bytes.append(contentsOf: "&apos;".utf8)
            case "\"": bytes.append(contentsOf: "&quot;".utf8)
            // A parser turns a bare CR into LF, and all three into a space inside an attribute (XML 1.0 §2.11, §3.3.3).
            case "\r": bytes.append(contentsOf: "&#13;".utf8)
            case "\n": bytes.append(contentsOf: inAttribute ? "&#10;".utf8 : "\n".utf8)
            case "\t": bytes.append(contentsOf: inAttribute ? "&#9;".utf8 : "\t".utf8)
            default:
                guard isAllowed(scalar) else { continue }
                bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
    }

    private static func isPlainByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x20...0x7e:
            byte != UInt8(ascii: "<") && byte != UInt8(ascii: ">") && byte != UInt8(ascii: "&")
                && byte != UInt8(ascii: "'") && byte != UInt8(ascii: "\"")
        default: false
        }
    }

    /// Whether XML 1.0 §2.2 allows the character at all.
    static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x9, 0xa, 0xd, 0x20...0xd7ff, 0xe000...0xfffd, 0x10000...0x10ffff: true
        default: false
        }
    }

    /// Whether the text can be the name of an element or attribute; stricter than XML 1.0 §2.3, wide enough for XMPP.
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 256 else { return false }
        guard isNameByte(first), !(UInt8(ascii: "0")...UInt8(ascii: "9") ~= first), first != UInt8(ascii: "-"),
            first != UInt8(ascii: ".")
        else { return false }
        return text.utf8.allSatisfy(isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: ":"):
            true
        default: byte >= 0x80
        }
    }
}
