import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacros

/// `@QiStruct`: makes a structure a tuple of the bus, with its own name and its members'.
struct QiStructMacro: ExtensionMacro {
    static func expansion(
        of node: AttributeSyntax, attachedTo declaration: some DeclGroupSyntax, providingExtensionsOf type: some TypeSyntaxProtocol,
        conformingTo protocols: [TypeSyntax], in context: some MacroExpansionContext
    ) throws -> [ExtensionDeclSyntax] {
        var reader = StructReader()
        let model = reader.read(declaration, named: type.trimmedDescription)
        reader.findings.report(in: context)
        guard let model, reader.findings.isEmpty else { return [] }
        return [try ExtensionDeclSyntax("\(raw: model.conformance)")]
    }
}
