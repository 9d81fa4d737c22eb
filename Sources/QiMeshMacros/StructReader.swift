import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxBuilder

/// Reads a structure into a `StructModel`, and says of what cannot be a tuple of the bus why.
struct StructReader {
    private(set) var findings = Findings()
    private var members: [StructModel.Member] = []
    private var name = ""

    mutating func read(_ declaration: some DeclGroupSyntax, named type: String) -> StructModel? {
        guard let declaration = declaration.as(StructDeclSyntax.self) else {
            findings.refuse(declaration.introducer, .notStructure(declaration.introducer.text))
            return nil
        }
        name = declaration.name.text
        for member in declaration.memberBlock.members {
            if let conditional = member.decl.as(IfConfigDeclSyntax.self) { findings.refuse(conditional, .conditionalMember) }
            if let variable = member.decl.as(VariableDeclSyntax.self) { read(variable) }
        }
        if members.isEmpty, findings.isEmpty { findings.refuse(declaration.name, .noStoredMember(name)) }
        let access = declaration.modifiers.map(\.name.text).first { $0 == "public" || $0 == "package" }
        return StructModel(
            type: type, name: name.unescaped, isGeneric: declaration.genericParameterClause != nil,
            isNonisolated: declaration.modifiers.contains { $0.name.text == "nonisolated" }, access: access.map { $0 + " " } ?? "",
            members: members)
    }

    private mutating func read(_ variable: VariableDeclSyntax) {
        let modifiers = variable.modifiers.map(\.name.text)
        if modifiers.contains("static") || variable.bindings.allSatisfy(\.isComputed) { return }
        for modifier in variable.modifiers where ["lazy", "weak", "unowned"].contains(modifier.name.text) {
            findings.refuse(modifier, .memberKind(modifier.name.text))
        }
        for attribute in variable.attributes { findings.refuse(attribute, .wrappedMember(attribute.trimmedDescription)) }
        let bindings = Array(variable.bindings)
        for (index, binding) in bindings.enumerated() where !binding.isComputed {
            // In `var x, y: Double` the type stands once, at the end.
            let type = binding.typeAnnotation?.type ?? (binding.initializer == nil
                ? bindings[index...].lazy.compactMap(\.typeAnnotation).first?.type : nil)
            read(binding, type, of: variable)
        }
    }

    private mutating func read(_ binding: PatternBindingSyntax, _ type: TypeSyntax?, of variable: VariableDeclSyntax) {
        guard let name = binding.pattern.as(IdentifierPatternSyntax.self)?.identifier else {
            return findings.refuse(binding.pattern, .memberPattern)
        }
        if let initializer = binding.initializer, variable.bindingSpecifier.text == "let" {
            let fixIt = FixIt.replace("make it a variable", variable.bindingSpecifier, with: TokenSyntax.keyword(.var))
            return findings.refuse(initializer, .constant(name.text), [fixIt])
        }
        guard let type else { return refuseUntyped(binding, name) }
        if type.mentions(self.name) { return findings.refuse(type, .recursive(self.name)) }
        findings.examine(type)
        members.append(StructModel.Member(name: name.text, type: type.trimmed))
    }

    private mutating func refuseUntyped(_ binding: PatternBindingSyntax, _ name: TokenSyntax) {
        var fixIts: [FixIt] = []
        if let literal = binding.initializer?.value.literalType {
            var mended = binding.trimmed
            mended.pattern.trailingTrivia = []
            mended.typeAnnotation = TypeAnnotationSyntax(
                colon: .colonToken(trailingTrivia: .space), type: TypeSyntax("\(raw: literal)"), trailingTrivia: .space)
            fixIts = [.replace("write '\(name.text): \(literal)'", binding, with: mended)]
        }
        findings.refuse(name, .untyped(name.text), fixIts)
    }
}

extension PatternBindingSyntax {
    /// Whether the value is computed; observers belong to a stored one.
    fileprivate var isComputed: Bool {
        switch accessorBlock?.accessors {
        case nil: false
        case .getter: true
        case .accessors(let accessors): !accessors.allSatisfy { ["willSet", "didSet"].contains($0.accessorSpecifier.text) }
        }
    }
}

extension ExprSyntax {
    /// The type of a literal as Swift would infer it.
    fileprivate var literalType: String? {
        switch kind {
        case .integerLiteralExpr: "Int"
        case .floatLiteralExpr: "Double"
        case .booleanLiteralExpr: "Bool"
        case .stringLiteralExpr: "String"
        default: nil
        }
    }
}

extension TypeSyntax {
    /// Whether a name occurs in the type's spelling.
    fileprivate func mentions(_ name: String) -> Bool {
        tokens(viewMode: .sourceAccurate).contains { $0.text == name && $0.previousToken(viewMode: .sourceAccurate)?.text != "." }
    }
}

/// What `@QiStruct` says of a declaration that cannot be a tuple of the bus.
extension Refusal {
    static let conditionalMember = Refusal(
        "conditionalMember", "a structure's signature cannot depend on '#if', of which a macro sees all branches")
    static let memberPattern = Refusal("memberPattern", "each member of a structure of the bus needs a name of its own")

    static func notStructure(_ kind: String) -> Refusal {
        let advice = kind == "enum" ? "; send an integer or a string for it" : ""
        return Refusal("notStructure", "@QiStruct applies to a structure, not to '\(kind)'\(advice)")
    }

    static func noStoredMember(_ name: String) -> Refusal {
        Refusal("noStoredMember", "'\(name)' has no stored member that could be sent")
    }

    static func memberKind(_ kind: String) -> Refusal {
        Refusal("memberKind", "a '\(kind)' member cannot be sent: it has to have its value from the beginning")
    }

    static func wrappedMember(_ attribute: String) -> Refusal {
        Refusal("wrappedMember", "a member with '\(attribute)' cannot be sent; store the plain value")
    }

    static func constant(_ name: String) -> Refusal {
        Refusal("constant", "'\(name)' could not take the value that arrives: a constant has its initial value for ever")
    }

    static func untyped(_ name: String) -> Refusal {
        Refusal("untyped", "write the type of '\(name)': a macro cannot see what Swift infers, and the signature depends on it")
    }

    static func recursive(_ name: String) -> Refusal {
        Refusal("recursive", "a structure of the bus cannot contain itself, for the signature of '\(name)' would be without end")
    }
}
