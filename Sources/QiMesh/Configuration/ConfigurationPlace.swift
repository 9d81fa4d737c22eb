import Foundation
import QiWire
import Yams

/// Turns decoding errors into messages that begin with file and line, as compilers do.
enum ConfigurationPlace {
    /// What YAML itself objects to.
    static func syntaxError(_ error: any Error, path: String) -> MeshError {
        guard let error = error as? YamlError else {
            return MeshError(.configuration, "\(path) cannot be read as YAML", cause: error)
        }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return MeshError(.configuration, "\(path):\(mark.line): this is not YAML: \(problem)", cause: error)
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.map { "\"\($0)\"" }.joined(separator: ", ")
            return MeshError(.configuration, "\(path):\(context.mark.line): \(names) is given twice")
        default:
            return MeshError(.configuration, "\(path) cannot be read as YAML", cause: error)
        }
    }

    /// What our own decoding objects to, at the line of the key or list item that the error's coding path names.
    static func error(_ error: any Error, in root: Node, path: String) -> MeshError {
        guard let error = error as? DecodingError else {
            return MeshError(.configuration, "\(path) cannot be read", cause: error)
        }
        let codingPath: [any CodingKey]
        var message: String
        var suggestion: String?
        switch error {
        case .dataCorrupted(let context):
            codingPath = context.codingPath
            let mistake = context.underlyingError as? ConfigurationMistake
            message = mistake?.message ?? "the value cannot be read"
            suggestion = mistake?.suggestion
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            codingPath = context.codingPath
            message = "expected \(name(of: type))"
        case .keyNotFound(let key, let context):
            codingPath = context.codingPath
            message = "\"\(key.stringValue)\" is missing"
        @unknown default:
            codingPath = []
            message = "the file cannot be read"
        }
        let (node, line) = locate(codingPath, in: root)
        if message.hasPrefix("expected"), let node { message += ", found \(kind(of: node))" }
        let keys = CodingPath.text(codingPath)
        // Not for a key that is unknown: the message names it, and the path would repeat it.
        let place = keys.isEmpty || suggestion != nil ? "" : "\(keys): "
        return MeshError(.configuration, "\(path):\(line): \(place)\(message)\(suggestion.map { "; " + $0 } ?? "")", cause: error)
    }

    /// The node at a coding path and its line: for a mapping's value the line of its key.
    private static func locate(_ codingPath: [any CodingKey], in root: Node) -> (Node?, Int) {
        var node = root
        var line = root.mark?.line ?? 1
        for key in codingPath {
            if let index = key.intValue, let sequence = node.sequence, sequence.indices.contains(index) {
                node = sequence[index]
                line = node.mark?.line ?? line
            } else if let pair = node.mapping?.first(where: { $0.key.string == key.stringValue }) {
                node = pair.value
                line = pair.key.mark?.line ?? line
            } else {
                return (nil, line)
            }
        }
        return (node, line)
    }

    private static func name(of type: Any.Type) -> String {
        switch type {
        case is Bool.Type: "true or false"
        case is Int.Type: "a whole number"
        case is Node.Mapping.Type, is [String: Any].Type: "a mapping (lines of \"key: value\")"
        case is Node.Sequence.Type, is [Any].Type: "a list"
        case is Node.Scalar.Type, is String.Type: "text"
        default: "another kind of value"
        }
    }

    private static func kind(of node: Node) -> String {
        switch node {
        case .scalar(let scalar): scalar.string.isEmpty ? "nothing" : "\"\(scalar.string.cut(toBytes: 40))\""
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }
}
