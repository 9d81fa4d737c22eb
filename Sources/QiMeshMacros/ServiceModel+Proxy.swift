/// The generated proxy. It calls public functions of QiMessaging, as a person could have.
extension ServiceModel {
    var proxy: String {
        let members = members.map { "\(memberAccess)let \($0.name): \($0.type)" }
        let storage = methods.map { "private let \($0.storage): QiMessaging.RemoteMethod" }
        return """
            /// Uses a `\(name)` that lives anywhere on the bus; one in this process is called directly.
            \(typeAccess)struct \(name.unescaped)Proxy: \(name), QiMessaging.ServiceProxy {
                \(memberAccess)static let serviceName = \(serviceName.literal)
                \(memberAccess)let object: QiMessaging.ObjectProxy
                /// How long a call may take; a direct one takes as long as it takes.
                \(memberAccess)var deadline: Swift.Duration = .seconds(10)
            \((members + ["private let local: (any \(name) & Swift.Sendable)?"] + storage).indented)

                /// The proxy of an object, which has the members of `\(name)`: a call of one it lacks fails.
                \(memberAccess)init(_ object: QiMessaging.ObjectProxy) {
                    self.object = object
                    self.local = object.implementation(as: (any \(name) & Swift.Sendable).self)
            \(initializations.indented.indented)
                }
            \(methods.map { "\n" + $0.proxyMethod(memberAccess).indented }.joined(separator: "\n"))
            }
            """.withoutBlankRuns
    }

    private var initializations: [String] {
        members.map { "self.\($0.name) = .init(of: object, named: \($0.name.unescaped.literal))" }
            + methods.map { method in
                """
                self.\(method.storage) = object.method(
                    \(method.publishedName.literal), parameters: \(method.parameterTypes), returns: \(method.resultType))
                """
            }
    }
}

extension ServiceModel.Method {
    /// The types of the parameters, as a list expression.
    var parameterTypes: String { "[\(parameters.map { "\($0.type.expression).qiType" }.joined(separator: ", "))]" }
    /// The type of the result.
    var resultType: String { result.map { "\($0.expression).qiType" } ?? ".void" }

    fileprivate func proxyMethod(_ access: String) -> String {
        let taken = parameters.map(\.name)
        let local = "local".avoiding(taken)
        let arguments = "arguments".avoiding(taken)
        let declared = parameters.map(\.declaration).joined(separator: ", ")
        let passed = parameters.map { "\($0.label)\($0.name)" }.joined(separator: ", ")
        let returning = result.map { ", returning: \($0.expression).self" } ?? ""
        let writes = parameters.map { "try \(arguments).append(\($0.name))" }
        let closure = writes.isEmpty
            ? "{ _ in }"
            : "{ (\(arguments)) throws(QiMessaging.WireError) in\n\(writes.indented)\n}"
        return """
            \(attributes.map { $0 + "\n" }.joined())\(access)nonisolated(nonsending) func \(name)(\(declared)) async \(throwing)\(result.map { " -> \($0)" } ?? "") {
                if let \(local) = self.local, self.object.isDirect {
                    return try await \(local).\(name)(\(passed))
                }
            \("\(result == nil ? "" : "return ")try await self.object.invoke(self.\(storage), deadline: self.deadline\(returning)) \(closure)".indented)
            }
            """
    }
}
