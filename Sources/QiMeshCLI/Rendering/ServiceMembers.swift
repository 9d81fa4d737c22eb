import QiMesh
import QiWire

/// The members of an object as `qimesh info` shows them.
struct ServiceMembers {
    var methods: [MetaMethod]
    /// Without those that only report a property.
    var signals: [MetaSignal]
    var properties: [MetaProperty]
    var description: String

    /// - Parameters:
    ///   - hidden: whether to show the generic members and names that begin with `_`.
    ///   - generic: whether hidden members include the generic ones, which every object has.
    init(_ object: MetaObject, hidden: Bool, generic: Bool = true) {
        let first = generic ? 0 : WellKnownActions.firstUserAction
        methods = object.methods.filter { $0.uid >= first && (hidden || !$0.isPrivate) }.sorted { ($0.name, $0.uid) < ($1.name, $1.uid) }
        let properties = object.properties.filter { hidden || !$0.isPrivate }
        let ids = Set(properties.map(\.uid))
        signals = object.signals.filter { $0.uid >= first && (hidden || !$0.isPrivate) && !ids.contains($0.uid) }
            .sorted { ($0.name, $0.uid) < ($1.name, $1.uid) }
        self.properties = properties.sorted { ($0.name, $0.uid) < ($1.name, $1.uid) }
        description = object.description
    }

    /// Only the members of one name.
    /// - Throws: `notFound` when there is none.
    func only(_ name: String, of label: String) throws(CommandFailure) -> ServiceMembers {
        var result = self
        result.methods = methods.filter { $0.name == name || $0.fullName == name }
        result.signals = signals.filter { $0.name == name }
        result.properties = properties.filter { $0.name == name }
        guard result.methods.isEmpty, result.signals.isEmpty, result.properties.isEmpty else { return result }
        let names = methods.map(\.name) + signals.map(\.name) + properties.map(\.name)
        let near = Spelling.nearest(to: name, in: names).map { "; did you mean \($0)?" } ?? ""
        throw CommandFailure(
            .notFound, "\(label) has no member \"\(name)\"\(near)", hint: near.isEmpty ? "qimesh info \(word: label)" : nil)
    }

    /// `ALTextToSpeech  lab-nao  19 methods  3 signals  1 property`.
    func heading(service: String, device: String?) -> String {
        func count(_ number: Int, _ one: String, _ many: String) -> String { "\(number) \(number == 1 ? one : many)" }
        return ([service] + (device.map { [$0] } ?? []) + [
            count(methods.count, "method", "methods"), count(signals.count, "signal", "signals"),
            count(properties.count, "property", "properties"),
        ]).joined(separator: "  ")
    }

    /// The lines below the heading.
    var lines: [String] {
        var lines = description.isEmpty ? [] : ["  " + description]
        lines += Self.section("METHODS", methods.map { (Self.declaration($0), "::" + $0.parametersSignature, $0.description) })
        lines += Self.section("SIGNALS", signals.map {
            ("\($0.name)(\(TypeName.parameters(signature: $0.signature)))", "::" + $0.signature, "")
        })
        lines += Self.section("PROPERTIES", properties.map {
            ("\($0.name): \(TypeName.text(signature: $0.signature))", "::" + $0.signature, "")
        })
        return lines
    }

    private static func section(_ title: String, _ rows: [(text: String, signature: String, description: String)]) -> [String] {
        guard !rows.isEmpty else { return [] }
        let width = min(60, rows.map(\.text.count).max() ?? 0)
        return [title] + rows.flatMap { row in
            let blanks = String(repeating: " ", count: max(0, width - row.text.count) + 2)
            // Python objects without documentation say "None".
            let description = ["", "None"].contains(row.description) ? [] : ["      \(row.description)"]
            return ["  \(row.text)\(blanks)\(row.signature)"] + description
        }
    }

    private static func declaration(_ method: MetaMethod) -> String {
        let parameters = TypeName.parameters(signature: method.parametersSignature, names: method.parameters.map(\.name))
        let result = method.returnSignature == "v" ? "" : " -> \(TypeName.text(signature: method.returnSignature))"
        return "\(method.name)(\(parameters))\(result)"
    }

    /// The signatures alone: `say::(s)v`, as wire traces write them.
    var signatures: [String] {
        methods.map { $0.fullName + $0.returnSignature } + signals.map { "\($0.name)::\($0.signature)" }
            + properties.map { "\($0.name)::\($0.signature)" }
    }

    /// The members for programs.
    var json: JSONValue {
        .object([
            ("description", .string(description)),
            ("methods", .array(methods.map(Self.json))),
            ("signals", .array(signals.map { Self.member($0.name, $0.uid, $0.signature) })),
            ("properties", .array(properties.map { Self.member($0.name, $0.uid, $0.signature) })),
        ])
    }

    private static func member(_ name: String, _ uid: UInt32, _ signature: String) -> JSONValue {
        .object([("name", .string(name)), ("uid", .integer(Int64(uid))), ("signature", .string(signature))])
    }

    private static func json(_ method: MetaMethod) -> JSONValue {
        let parameters = method.parameters.map { parameter in
            JSONValue.object([("name", .string(parameter.name)), ("description", .string(parameter.description))])
        }
        return .object([
            ("name", .string(method.name)), ("uid", .integer(Int64(method.uid))),
            ("signature", .string(method.parametersSignature)), ("returns", .string(method.returnSignature)),
            ("description", .string(method.description)), ("parameters", .array(parameters)),
        ])
    }
}
