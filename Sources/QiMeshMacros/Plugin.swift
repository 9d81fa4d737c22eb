import SwiftCompilerPlugin
import SwiftSyntaxMacros

/// What the compiler loads: the macros that `QiMessaging` declares.
@main
struct Plugin: CompilerPlugin {
    let providingMacros: [any Macro.Type] = [ServiceMacro.self, QiMethodMacro.self, QiStructMacro.self]
}
