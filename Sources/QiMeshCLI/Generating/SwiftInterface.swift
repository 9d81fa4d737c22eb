import QiWire

/// The interfaces of services as a Swift source that `import QiMessaging` makes complete.
struct SwiftInterface {
    private var protocols: [String] = []
    private var structures = StructureTable(taken: [
        "Bool", "Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float", "Double", "String", "Dictionary",
        "Array", "Optional", "QiValue", "QiVoid", "QiStruct", "QiConvertible", "ByteBuffer", "ObjectProxy", "Signal",
        "Property", "Service", "Swift", "QiMessaging",
    ])

    /// The source.
    var text: String {
        let declarations = structures.structures.map(\.declaration).filter { !$0.isEmpty }
        return (["// Made by `qimesh gen` from live services.", "import QiMessaging"] + protocols + declarations).joined(separator: "\n\n")
    }

    /// Adds a service.
    mutating func add(_ members: ServiceMembers, service: String) {
        let name = freeName(SwiftIdentifier.type(from: service) ?? "Service")
        var lines: [String] = []
        var omitted: [String] = []
        var signatures: Set<String> = []
        for method in members.methods {
            guard let declaration = declaration(of: method), signatures.insert("\(method.name) \(arity(method))").inserted else {
                omitted.append(method.fullName + method.returnSignature)
                continue
            }
            lines += Self.comment(method.description) + Self.parameterComments(method) + [declaration]
        }
        for signal in members.signals {
            append(variable(signal.name, signalType(signal)), or: "\(signal.name)::\(signal.signature)", &lines, &omitted)
        }
        for property in members.properties {
            let context = (SwiftIdentifier.type(from: property.name) ?? "Property") + "Value"
            var type: String?
            if let signature = try? Signature(property.signature) { type = self.name(of: signature.type, for: context) }
            append(
                variable(property.name, type.map { "Property<\($0)>" }), or: "\(property.name): \(property.signature)", &lines, &omitted)
        }
        if !omitted.isEmpty {
            lines.append("// Not expressible here; call these by name, as in `object.call(\"name\", …)`:")
            lines += omitted.map { "//     \(Printable.line($0))" }
        }
        let attribute = name == service ? "@Service" : "@Service(\(Self.literal(service)))"
        let text = Self.comment(members.description) + ["\(attribute) protocol \(name) {"] + lines.map { "    " + $0 } + ["}"]
        protocols.append(text.joined(separator: "\n"))
    }

    private mutating func freeName(_ wanted: String) -> String {
        var name = wanted
        var number = 2
        while structures.isTaken(name) || structures.isTaken(name + "Proxy") || structures.isTaken(name + "Binding") {
            name = "\(wanted)\(number)"
            number += 1
        }
        for suffix in ["", "Proxy", "Binding"] { structures.take(name + suffix) }
        return name
    }

    private func append(_ declaration: String?, or signature: String, _ lines: inout [String], _ omitted: inout [String]) {
        if let declaration { lines.append(declaration) } else { omitted.append(signature) }
    }

    // MARK: - Members

    private func arity(_ method: MetaMethod) -> Int { (try? method.parsedParameters())?.elements?.count ?? -1 }

    private mutating func declaration(of method: MetaMethod) -> String? {
        guard let name = SwiftIdentifier.exact(method.name), let parameters = try? method.parsedParameters().elements,
            let returns = try? method.parsedReturn().type, !(parameters.isEmpty && Self.reserved.contains(method.name))
        else { return nil }
        let typeName = SwiftIdentifier.type(from: method.name) ?? "Method"
        var declared: [String] = []
        for (index, type) in parameters.enumerated() {
            guard let typed = self.name(of: type, for: typeName + "Argument") else { return nil }
            declared.append("_ \(Self.parameterName(method, index)): \(typed)")
        }
        var result = ""
        if returns != .void {
            guard let typed = self.name(of: returns, for: typeName + "Result") else { return nil }
            result = " -> \(typed)"
        }
        return "func \(name)(\(declared.joined(separator: ", "))) async throws\(result)"
    }

    /// What the generated proxy has itself.
    private static let reserved: Set<String> = ["object", "deadline", "serviceName", "local"]

    private static func parameterName(_ method: MetaMethod, _ index: Int) -> String {
        let names = method.parameters.map(\.name)
        guard index < names.count, names.count(where: { $0 == names[index] }) == 1,
            let name = SwiftIdentifier.exact(names[index])
        else { return "argument\(index)" }
        return name
    }

    private func variable(_ name: String, _ type: String?) -> String? {
        guard let type, !Self.reserved.contains(name), let name = SwiftIdentifier.exact(name) else { return nil }
        return "var \(name): \(type) { get }"
    }

    private mutating func signalType(_ signal: MetaSignal) -> String? {
        guard let elements = try? signal.parsedSignature().elements else { return nil }
        var names: [String] = []
        for type in elements {
            guard let name = name(of: type, for: (SwiftIdentifier.type(from: signal.name) ?? "Signal") + "Value") else { return nil }
            names.append(name)
        }
        return names.isEmpty ? "Signal< >" : "Signal<\(names.joined(separator: ", "))>"
    }

    // MARK: - Types

    /// The name of a type; structures it needs are added. Nil when Swift has none.
    private mutating func name(of type: QiType, for context: String) -> String? {
        switch type {
        case .bool, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .float, .double, .string: TypeName.text(type)
        case .raw: "ByteBuffer"
        case .dynamic: "QiValue"
        case .object: "ObjectProxy"
        case .void: "QiVoid"
        case .list(let element): name(of: element, for: context).map { "[\($0)]" }
        case .optional(let element): name(of: element, for: context).map { "\($0)?" }
        case .map(let key, let value): mapName(key, value, context)
        case .tuple(let tuple): structureName(tuple, context)
        case .none, .unknown, .varargs, .keywordArguments: nil
        }
    }

    private mutating func mapName(_ key: QiType, _ value: QiType, _ context: String) -> String? {
        guard !key.isOrHoldsStructure, let key = name(of: key, for: context), let value = name(of: value, for: context) else { return nil }
        return "[\(key): \(value)]"
    }

    private mutating func structureName(_ tuple: TupleType, _ context: String) -> String? {
        if let known = structures.known(tuple) { return known.declaration.isEmpty ? nil : known.name }
        let index = structures.add(tuple, context: context)
        let structure = structures.structures[index]
        var lines: [String] = []
        for member in structure.members {
            guard let type = name(of: member.type, for: structure.name + "Member") else { return nil }
            lines.append("    var \(member.name): \(type)")
        }
        guard !lines.isEmpty else { return nil }
        structures.declare(index, as: (["@QiStruct struct \(structure.name) {"] + lines + ["}"]).joined(separator: "\n"))
        return structure.name
    }

    // MARK: - Text

    /// A description as a doc comment; Python objects without one say "None".
    private static func comment(_ text: String) -> [String] {
        guard !text.isEmpty, text != "None" else { return [] }
        return text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { line in
            line.isEmpty ? "///" : "/// \(Printable.line(String(line)))"
        }
    }

    private static func parameterComments(_ method: MetaMethod) -> [String] {
        method.parameters.enumerated().flatMap { index, parameter in
            parameter.description.isEmpty
                ? [] : comment("- Parameter \(parameterName(method, index)): \(parameter.description)")
        }
    }

    private static func literal(_ text: String) -> String {
        let escaped = Printable.line(text).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return "\"\(escaped)\""
    }
}

extension QiType {
    /// Whether a map's key of this type could not be hashed.
    fileprivate var isOrHoldsStructure: Bool {
        switch self {
        case .tuple, .object: true
        case .list(let element), .optional(let element): element.isOrHoldsStructure
        case .map: true
        default: false
        }
    }
}
