import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacroExpansion
import SwiftSyntaxMacros
import SwiftSyntaxMacrosGenericTestSupport
import Testing

@testable import QiMeshMacros

let macros: [String: MacroSpec] = [
    "Service": MacroSpec(type: ServiceMacro.self),
    "QiStruct": MacroSpec(type: QiStructMacro.self, conformances: ["QiConvertible"]),
]

/// Expects a source to expand into another.
func expectExpansion(_ source: String, _ expanded: String, sourceLocation: Testing.SourceLocation = #_sourceLocation) {
    check(source, expanded, [], sourceLocation)
}

/// Expects that a declaration is refused: with these words at this place, and no code.
///
/// - Parameter mended: the source after the fix-its, nil when none is offered.
func expectRefusal(
    _ source: String, _ message: String, line: Int, column: Int, fixIt: String? = nil, mended: String? = nil,
    sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
    let refusal = DiagnosticSpec(
        message: message, line: line, column: column, fixIts: fixIt.map { [FixItSpec(message: $0)] } ?? [])
    expectRefusals(source, [refusal], mended: mended, sourceLocation: sourceLocation)
}

/// Expects several refusals, and no code.
func expectRefusals(
    _ source: String, _ refusals: [DiagnosticSpec], mended: String? = nil,
    sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
    let plain = source.replacing(#/@(Service|QiStruct)(\(.*?\))? /#, with: "")
    check(source, plain, refusals, sourceLocation, mended: mended)
}

private func check(
    _ source: String, _ expanded: String, _ diagnostics: [DiagnosticSpec], _ location: Testing.SourceLocation, mended: String? = nil
) {
    assertMacroExpansion(
        source, expandedSource: expanded, diagnostics: diagnostics, macroSpecs: macros, fixedSource: mended,
        indentationWidth: .spaces(4)
    ) { failure in
        Issue.record("\(failure.message)", sourceLocation: location)
    }
}
