/// The generated binding: what makes an object of the bus from an implementation of the protocol.
extension ServiceModel {
    var binding: String {
        let description = documentation.isEmpty ? "" : "description: \(documentation.literal)"
        let steps = members.map { member in
            "object.advertise(\(member.kind): \(member.name.unescaped.literal), implementation.\(member.name))"
        } + methods.map(\.advertisement)
        return """
            /// Offers an implementation of `\(name)` on the bus.
            \(typeAccess)struct \(name.unescaped)Binding<Implementation: \(name) & Swift.Sendable>: QiMessaging.ServiceBinding {
                \(memberAccess)static var serviceName: Swift.String {
                    \(serviceName.literal)
                }
                private let implementation: Implementation
                private let callType: QiMessaging.CallType

                /// - Parameter callType: where the methods run: off the event loop, or on it, where they must not block.
                \(memberAccess)init(_ implementation: Implementation, callType: QiMessaging.CallType = .queued) {
                    self.implementation = implementation
                    self.callType = callType
                }

                \(memberAccess)func makeObject() -> QiMessaging.ObjectBuilder {
                    let implementation = self.implementation
                    var object = QiMessaging.ObjectBuilder(\(description))
                    object.setImplementation(implementation)
            \(steps.indented.indented)
                    return object
                }
            }
            """.withoutBlankRuns
    }
}

extension ServiceModel.Method {
    fileprivate var advertisement: String {
        let names = parameters.contains { !$0.publishedName.isEmpty }
            ? ", parameterNames: [\(parameters.map(\.publishedName.literal).joined(separator: ", "))]" : ""
        let description = documentation.isEmpty ? "" : ", description: \(documentation.literal)"
        let arguments = parameters.map { "\($0.label)call.next(\($0.type.expression).self)" }.joined(separator: ", ")
        let call = "try await implementation.\(name)(\(arguments))"
        let body = result == nil ? [call] : ["let result = \(call)", "try call.reply(result)"]
        return """
            object.advertise(
                method: \(publishedName.literal), parameters: \(parameterTypes)\(names),
                returns: \(resultType)\(description), callType: self.callType
            ) { \(parameters.isEmpty && result == nil ? "_" : "call") in
            \(body.indented)
            }
            """
    }
}
