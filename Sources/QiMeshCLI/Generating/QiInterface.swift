import QiWire

/// The interfaces of services in the interface language of qiloop: `interface`, `fn`, `sig`, `prop`, `struct`, one member a line.
struct QiInterface {
    private var interfaces: [String] = []
    private var structures = StructureTable(taken: [])

    /// The source.
    var text: String {
        (["package services"] + interfaces + structures.structures.map(\.declaration).filter { !$0.isEmpty }).joined(separator: "\n\n")
    }

    /// Adds a service.
    mutating func add(_ members: ServiceMembers, service: String) {
        let name = SwiftIdentifier.type(from: service) ?? "Service"
        var lines = ["interface \(name)"]
        for method in members.methods {
            let names = method.parameters.map(\.name)
            let result = method.returnSignature == "v" ? "" : " -> \(self.name(of: method.returnSignature, for: method.name))"
            let declared = parameters(method.parametersSignature, names, for: method.name)
            lines.append("\tfn \(Printable.line(method.name))(\(declared))\(result) //uid:\(method.uid)")
        }
        for signal in members.signals {
            let declared = parameters(signal.signature, [], for: signal.name)
            lines.append("\tsig \(Printable.line(signal.name))(\(declared)) //uid:\(signal.uid)")
        }
        for property in members.properties {
            let type = self.name(of: property.signature, for: property.name)
            lines.append("\tprop \(Printable.line(property.name))(param: \(type)) //uid:\(property.uid)")
        }
        interfaces.append((lines + ["end"]).joined(separator: "\n"))
    }

    private mutating func parameters(_ signature: String, _ names: [String], for member: String) -> String {
        guard let types = (try? Signature(signature))?.elements else { return "P0: any" }
        return types.enumerated().map { index, type in
            let given = index < names.count ? SwiftIdentifier.exact(names[index])?.filter { $0 != "`" } : nil
            return "\(given ?? "P\(index)"): \(name(of: type, context: member))"
        }.joined(separator: ", ")
    }

    private mutating func name(of signature: String, for member: String) -> String {
        guard let parsed = try? Signature(signature) else { return "unknown" }
        return name(of: parsed.type, context: member)
    }

    private mutating func name(of type: QiType, context: String) -> String {
        switch type {
        case .bool: "bool"
        case .int8: "int8"
        case .uint8: "uint8"
        case .int16: "int16"
        case .uint16: "uint16"
        case .int32: "int32"
        case .uint32: "uint32"
        case .int64: "int64"
        case .uint64: "uint64"
        case .float: "float32"
        case .double: "float64"
        case .string: "str"
        case .raw: "raw"
        case .dynamic: "any"
        case .object: "obj"
        case .list(let element), .varargs(let element): "Vec<\(name(of: element, context: context))>"
        case .map(let key, let value): "Map<\(name(of: key, context: context)),\(name(of: value, context: context))>"
        case .tuple(let tuple): structure(tuple, context)
        case .optional, .void, .none, .unknown, .keywordArguments: "unknown"
        }
    }

    private mutating func structure(_ tuple: TupleType, _ context: String) -> String {
        if let known = structures.known(tuple) { return known.name }
        let index = structures.add(tuple, context: (SwiftIdentifier.type(from: context) ?? "Member") + "Value")
        let structure = structures.structures[index]
        let lines = structure.members.map { "\t\($0.name.filter { $0 != "`" }): \(name(of: $0.type, context: context))" }
        structures.declare(index, as: (["struct \(structure.name)"] + lines + ["end"]).joined(separator: "\n"))
        return structure.name
    }
}
