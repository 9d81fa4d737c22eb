import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxMacros

/// `@QiMethod`: says more of a method of a service; `@Service` reads it, and nothing is generated for it alone.
struct QiMethodMacro: PeerMacro {
    static func expansion(
        of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol, in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
        let isOfService = context.lexicalContext.first?.as(ProtocolDeclSyntax.self)?.attributes.contains { attribute in
            let name = attribute.as(AttributeSyntax.self)?.attributeName.trimmedDescription
            return name == "Service" || name == "QiMessaging.Service"
        }
        if isOfService != true || !declaration.is(FunctionDeclSyntax.self) {
            context.diagnose(Diagnostic(node: node, message: Refusal.methodElsewhere))
        }
        return []
    }

    /// What `@QiMethod` stands for in the description of the method: the word by which callers know that it may run twice.
    static let idempotent = "[idempotent]"

    /// Whether the attribute says that the method may run twice; nil when its argument is no literal.
    static func isIdempotent(_ attribute: AttributeSyntax) -> Bool? {
        guard let arguments = attribute.arguments else { return false }
        guard case .argumentList(let list) = arguments, list.count == 1, let argument = list.first, argument.label?.text == "idempotent",
            let literal = argument.expression.as(BooleanLiteralExprSyntax.self)
        else { return nil }
        return literal.literal.tokenKind == .keyword(.true)
    }
}
