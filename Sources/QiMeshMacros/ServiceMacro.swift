import SwiftParser
import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacros

/// `@Service`: writes a protocol's proxy and binding beside it.
struct ServiceMacro: PeerMacro {
    static func expansion(
        of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol, in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
        guard let declaration = declaration.as(ProtocolDeclSyntax.self) else {
            var findings = Findings()
            findings.refuse(node, .notProtocol)
            findings.report(in: context)
            return []
        }
        var reader = ServiceReader()
        var findings = Findings()
        let serviceName = serviceName(in: node, &findings)
        let documentation = [declaration.documentation, node.documentation].first { !$0.isEmpty } ?? ""
        let model = reader.read(declaration, serviceName: serviceName, documentation: documentation)
        findings.report(in: context)
        reader.findings.report(in: context)
        guard findings.isEmpty, reader.findings.isEmpty else { return [] }
        return ["\(raw: model.proxy)", "\(raw: model.binding)"]
    }

    private static func serviceName(in node: AttributeSyntax, _ findings: inout Findings) -> String? {
        guard case .argumentList(let arguments) = node.arguments, let argument = arguments.first?.expression else { return nil }
        if argument.is(NilLiteralExprSyntax.self) { return nil }
        guard let name = argument.as(StringLiteralExprSyntax.self)?.representedLiteralValue else {
            findings.refuse(argument, .serviceName)
            return nil
        }
        return name
    }
}
