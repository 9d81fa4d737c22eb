import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxMacros

/// Why something cannot be expressed on the bus, as the compiler shows it at the offending token.
struct Refusal: DiagnosticMessage {
    let id: String
    let message: String

    init(_ id: String, _ message: String) {
        self.id = id
        self.message = message
    }

    var diagnosticID: MessageID { MessageID(domain: "QiMeshMacros", id: id) }
    var severity: DiagnosticSeverity { .error }
}

/// What the compiler offers to change.
struct Remedy: FixItMessage {
    let message: String

    init(_ message: String) { self.message = message }

    var fixItID: MessageID { MessageID(domain: "QiMeshMacros", id: message) }
}

/// Collects what is wrong with a declaration. Everything is reported, not only the first finding.
struct Findings {
    private(set) var diagnostics: [Diagnostic] = []

    var isEmpty: Bool { diagnostics.isEmpty }

    mutating func refuse(_ node: some SyntaxProtocol, _ refusal: Refusal, _ fixIts: [FixIt] = []) {
        diagnostics.append(Diagnostic(node: node, message: refusal, fixIts: fixIts))
    }

    func report(in context: some MacroExpansionContext) {
        for diagnostic in diagnostics { context.diagnose(diagnostic) }
    }
}

extension FixIt {
    /// Replaces a node and keeps what surrounds it.
    static func replace(_ message: String, _ old: some SyntaxProtocol, with new: some SyntaxProtocol) -> FixIt {
        var new = Syntax(new)
        new.leadingTrivia = old.leadingTrivia
        new.trailingTrivia = old.trailingTrivia
        return FixIt(message: Remedy(message), changes: [.replace(oldNode: Syntax(old), newNode: new)])
    }

    /// Takes a node away, with the space around it.
    static func remove(_ message: String, _ old: some SyntaxProtocol) -> FixIt {
        let nothing = TokenSyntax(.identifier(""), presence: .missing)
        return FixIt(message: Remedy(message), changes: [.replace(oldNode: Syntax(old), newNode: Syntax(nothing))])
    }
}
