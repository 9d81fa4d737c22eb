import SwiftParser
import SwiftSyntax

/// A protocol as `@Service` understands it: what the proxy and the binding are made from.
struct ServiceModel {
    /// A parameter of a method.
    struct Parameter {
        /// As callers write it, with its colon; empty without one.
        let label: String
        /// As it is declared: labels and name.
        let declaration: String
        /// As the generated body refers to it.
        let name: String
        /// As the metaobject names it; empty when the protocol does not.
        let publishedName: String
        let type: TypeSyntax
    }

    /// A method of the protocol.
    struct Method {
        let name: String
        let attributes: [String]
        let parameters: [Parameter]
        /// `throws`, with its type if there is one.
        let throwing: String
        /// Nil for nothing.
        let result: TypeSyntax?
        let documentation: String

        /// The name on the bus.
        var publishedName: String { name.unescaped }
        /// What the proxy calls the resolved method. Unique: the part after the last `_` is the number of parameters.
        var storage: String { "_\(publishedName)_\(parameters.count)" }
    }

    /// A signal or property of the protocol; both are made and advertised alike.
    struct Member {
        enum Kind: String { case signal, property }
        let kind: Kind
        let name: String
        let type: TypeSyntax
    }

    let name: String
    /// The name that `@Service("…")` gives, else the protocol's.
    let serviceName: String
    let documentation: String
    /// `public`, `private` and so on; nil for the default.
    let access: String?
    /// Whether the protocol is declared `nonisolated`, in a module whose declarations otherwise belong to the main actor.
    let isNonisolated: Bool
    let methods: [Method]
    let members: [Member]

    /// What comes before the declaration of a type that is as visible as the protocol.
    var typeAccess: String { (isNonisolated ? "nonisolated " : "") + (access.map { $0 + " " } ?? "") }
    /// What comes before its members: they need no modifier unless others see them.
    var memberAccess: String { access == "public" || access == "package" ? (access ?? "") + " " : "" }
}

extension String {
    /// An identifier without its backticks.
    var unescaped: String { first == "`" && last == "`" ? String(dropFirst().dropLast()) : self }

    /// An identifier as an expression may use it.
    var reference: String {
        first == "`" || isValidSwiftIdentifier(for: .variableName) ? self : "`\(self)`"
    }

    /// This name, or a longer one that is not among `taken`.
    func avoiding(_ taken: some Collection<String>) -> String {
        var name = self
        while taken.contains(name) { name += "_" }
        return name
    }
}
