import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxBuilder

/// Finds in the spelling of a type what has no qi type. Names are taken as they are: whether one conforms to `QiConvertible` is for
/// the compiler to say, in the generated code.
struct TypeExamination {
    private(set) var findings: [(node: Syntax, refusal: Refusal, fixIts: [FixIt])] = []

    init(_ type: TypeSyntax) { examine(type) }

    private mutating func examine(_ type: TypeSyntax) {
        switch type.as(TypeSyntaxEnum.self) {
        case .identifierType(let type): examineName(type)
        case .memberType(let type): examineArguments(type.genericArgumentClause)
        case .arrayType(let type): examine(type.element)
        case .dictionaryType(let type):
            examine(type.key)
            examine(type.value)
        case .optionalType(let type): examine(type.wrappedType)
        case .tupleType(let type): examineTuple(type)
        case .implicitlyUnwrappedOptionalType(let type):
            let optional = OptionalTypeSyntax(wrappedType: type.wrappedType.trimmed)
            refuse(type.exclamationMark, .implicitlyUnwrapped, .replace("use an optional", type, with: optional))
        case .functionType: refuse(type, .closure)
        case .attributedType(let attributed): examineAttributed(attributed)
        case .someOrAnyType(let type): refuse(type.someOrAnySpecifier, .opaque("'\(type.trimmedDescription)'"))
        case .compositionType: refuse(type, .opaque("'\(type.trimmedDescription)'"))
        default: refuse(type, .noWireForm("'\(type.trimmedDescription)'"))
        }
    }

    private mutating func examineName(_ type: IdentifierTypeSyntax) {
        switch type.name.text {
        case "Any", "AnyObject": refuse(type, .opaque("'\(type.name.text)'"))
        case "Self": refuse(type, .noWireForm("'Self'"))
        default: examineArguments(type.genericArgumentClause)
        }
    }

    private mutating func examineArguments(_ clause: GenericArgumentClauseSyntax?) {
        for argument in clause?.arguments ?? [] {
            if case .type(let type) = argument.argument { examine(type) }
        }
    }

    private mutating func examineTuple(_ type: TupleTypeSyntax) {
        // (Int) is Int with parentheses; () is no tuple, but nothing.
        if let only = type.elements.first, type.elements.count == 1, only.firstName == nil { return examine(only.type) }
        refuse(type, type.elements.isEmpty ? .noWireForm("'()' within a value") : .tuple)
    }

    private mutating func examineAttributed(_ type: AttributedTypeSyntax) {
        for specifier in type.specifiers {
            let text = specifier.trimmedDescription
            let fixIt = FixIt.replace("remove '\(text)'", type, with: type.baseType.trimmed)
            refuse(specifier, text == "inout" ? .inoutParameter : .specifier(text), fixIt)
        }
        guard type.specifiers.isEmpty else { return }
        examine(type.baseType)
    }

    private mutating func refuse(_ node: some SyntaxProtocol, _ refusal: Refusal, _ fixIt: FixIt? = nil) {
        findings.append((Syntax(node), refusal, fixIt.map { [$0] } ?? []))
    }
}

extension Findings {
    /// Reports what a type's spelling holds that cannot cross the bus.
    mutating func examine(_ type: TypeSyntax) {
        for finding in TypeExamination(type).findings { refuse(finding.node, finding.refusal, finding.fixIts) }
    }
}

extension TypeSyntax {
    /// Whether this is `Void` or `()`.
    var isVoid: Bool {
        if let tuple = self.as(TupleTypeSyntax.self) { return tuple.elements.isEmpty }
        return ["Void", "Swift.Void"].contains(trimmedDescription)
    }

    /// The type as it may stand in an expression, before `.qiType` or `(reading:)`.
    var expression: String {
        guard let optional = self.as(OptionalTypeSyntax.self) else { return trimmedDescription }
        return "Swift.Optional<\(optional.wrappedType.trimmedDescription)>"
    }
}

extension Refusal {
    static let closure = Refusal("closure", "a closure cannot be sent; pass an ObjectProxy to be called back, or declare a signal")
    static let tuple = Refusal("tuple", "a tuple cannot be sent, for Swift's tuples conform to nothing; declare a structure with @QiStruct")
    static let implicitlyUnwrapped = Refusal("implicitlyUnwrapped", "a value that may be missing has to be an optional")
    static let inoutParameter = Refusal("inout", "'inout' cannot cross the bus: the callee has a copy; return the new value")

    static func opaque(_ type: String) -> Refusal {
        Refusal("opaque", "\(type) has no signature, which has to be known before there is a value; use QiValue for values of any type")
    }

    static func noWireForm(_ type: String) -> Refusal { Refusal("noWireForm", "\(type) has no qi type") }

    static func specifier(_ text: String) -> Refusal {
        Refusal("specifier", "'\(text)' says nothing about a value that is sent")
    }
}
