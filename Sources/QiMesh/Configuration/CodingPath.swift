/// How places in a document are written in messages: `xmpp[0].server`.
enum CodingPath {
    /// Empty for the document as a whole.
    static func text(_ path: [any CodingKey]) -> String {
        var text = ""
        for key in path {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : "." + key.stringValue
            }
        }
        return text
    }
}
