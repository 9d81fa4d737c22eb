import QiWire

/// Types as people read them in `qimesh info`.
enum TypeName {
    /// The longest name shown, in bytes; a structure of hundreds of members helps nobody.
    static let lengthLimit = 200

    /// The name of the type that a signature text describes; the text itself when it cannot be parsed.
    static func text(signature: String) -> String {
        // A signature that this version does not know is shown as it is: listing an object must not fail for it.
        guard let parsed = try? Signature(signature) else { return signature }
        return text(parsed.type)
    }

    /// The name of a type, in the words of the Swift API.
    static func text(_ type: QiType) -> String {
        let name = name(type)
        return name.utf8.count > lengthLimit ? name.cut(toBytes: lengthLimit) + "…" : name
    }

    private static func name(_ type: QiType) -> String {
        switch type {
        case .void, .none: "Void"
        case .bool: "Bool"
        case .int8: "Int8"
        case .uint8: "UInt8"
        case .int16: "Int16"
        case .uint16: "UInt16"
        case .int32: "Int32"
        case .uint32: "UInt32"
        case .int64: "Int64"
        case .uint64: "UInt64"
        case .float: "Float"
        case .double: "Double"
        case .string: "String"
        case .raw: "Raw"
        case .dynamic: "Value"
        case .object: "Object"
        case .unknown: "Unknown"
        case .list(let element): "[\(name(element))]"
        case .map(let key, let value): "[\(name(key)): \(name(value))]"
        case .optional(let element): "\(name(element))?"
        case .varargs(let element): "\(name(element))..."
        case .keywordArguments(let element): "keywords \(name(element))"
        case .tuple(let tuple): structure(tuple)
        }
    }

    private static func structure(_ tuple: TupleType) -> String {
        if let name = tuple.name, !name.isEmpty { return name }
        return "(\(tuple.members.map(name).joined(separator: ", ")))"
    }

    /// The parameters of a method or signal, named where the owner said names: `text: String, Int32`.
    static func parameters(signature: String, names: [String] = []) -> String {
        guard let parsed = try? Signature(signature), let members = parsed.type.tupleMembers else {
            return text(signature: signature)
        }
        let parts = members.enumerated().map { index, type in
            let name = index < names.count ? names[index] : ""
            return name.isEmpty ? text(type) : "\(name): \(text(type))"
        }
        return parts.joined(separator: ", ")
    }
}
