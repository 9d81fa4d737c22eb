import CYaml
import Foundation
import Yams

/// A YAML text that may be used: the one way in for the configuration, the policy, manifests and tables of expectations.
///
/// The text is looked through event by event before anything is composed of it, see ``YAMLShape``: an alias costs nothing to write and
/// multiplies what it stands for, a list or mapping as a key is compared as a whole, and depth is stack.
struct YAMLDocument {
    let root: Node
    /// For messages.
    let path: String

    /// - Parameter limit: the largest text, in bytes.
    /// - Returns: nil for a text of nothing but comments.
    /// - Throws: `configuration`, as `FILE:LINE: what is wrong`.
    static func parse(
        _ text: String, path: String, limit: Int = 1 << 20, bounds: YAMLShape.Bounds = .init()
    ) throws(MeshError) -> YAMLDocument? {
        guard text.utf8.count <= limit else { throw MeshError(.configuration, "\(path) is larger than \(limit) bytes") }
        if let mistake = mistake(in: text, bounds) { throw MeshError(.configuration, "\(path):\(mistake.line): \(mistake.message)") }
        do {
            let root = try Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot()
            guard let root, root.null == nil else { return nil }
            return YAMLDocument(root: root, path: path)
        } catch {
            throw ConfigurationPlace.syntaxError(error, path: path)
        }
    }

    /// What the document says, as a type of ours.
    /// - Parameter node: the document with something added; by default as it is written.
    /// - Throws: `configuration` for every mistake in it, as `FILE:LINE: what is wrong`.
    func decode<Value: Decodable>(
        _: Value.Type, from node: Node? = nil, userInfo: [CodingUserInfoKey: Any] = [:]
    ) throws(MeshError) -> Value {
        do {
            return try YAMLDecoder().decode(Value.self, from: node ?? root, userInfo: userInfo)
        } catch {
            throw complaint(about: error)
        }
    }

    /// The same for an error of decoding that comes up later.
    func complaint(about error: any Error) -> MeshError {
        (error as? MeshError) ?? ConfigurationPlace.error(error, in: root, path: path)
    }

    /// Nil as well for what is not YAML: that the parser itself says, with its place, before it has composed more than was looked at here.
    private static func mistake(in text: String, _ bounds: YAMLShape.Bounds) -> (message: String, line: Int)? {
        let bytes = Array(text.utf8)
        var parser = yaml_parser_t()
        // The parser keeps a pointer to itself.
        return withUnsafeMutablePointer(to: &parser) { parser in
            guard yaml_parser_initialize(parser) == 1 else { return ("there is no memory to read it", 1) }
            defer { yaml_parser_delete(parser) }
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            return bytes.withUnsafeBufferPointer { bytes in
                yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
                var shape = YAMLShape(bounds)
                while true {
                    var event = yaml_event_t()
                    guard yaml_parser_parse(parser, &event) == 1 else { return nil }
                    defer { yaml_event_delete(&event) }
                    guard let seen = YAMLShape.Event(event) else { continue }
                    if seen == .documentEnd { return nil }
                    if let message = shape.received(seen) { return (message, Int(event.start_mark.line) + 1) }
                }
            }
        }
    }
}

extension YAMLShape.Event {
    /// nil for events that say nothing of the shape.
    fileprivate init?(_ event: yaml_event_t) {
        func name(_ text: UnsafeMutablePointer<UInt8>?) -> String? { text.map { String(cString: $0) } }
        switch event.type {
        case YAML_ALIAS_EVENT: self = .alias(name(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT: self = .scalar(anchor: name(event.data.scalar.anchor))
        case YAML_SEQUENCE_START_EVENT: self = .listBegin(anchor: name(event.data.sequence_start.anchor))
        case YAML_MAPPING_START_EVENT: self = .mappingBegin(anchor: name(event.data.mapping_start.anchor))
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: self = .end
        // An empty stream has no document.
        case YAML_DOCUMENT_END_EVENT, YAML_STREAM_END_EVENT: self = .documentEnd
        default: return nil
        }
    }
}
