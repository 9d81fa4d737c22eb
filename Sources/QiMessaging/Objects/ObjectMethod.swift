import QiWire

/// A method of an object of this process: what is declared, and what runs. A class, so that a call passes it on as one reference.
final class ObjectMethod: Sendable {
    typealias Values = nonisolated(nonsending) @Sendable (_ arguments: [QiValue], _ context: CallContext) async throws -> QiValue
    typealias Typed = nonisolated(nonsending) @Sendable (inout MethodCall) async throws -> Void

    /// As ``ObjectBuilder`` describes them.
    enum Body: Sendable {
        case values(Values)
        case typed(Typed)
        case immediate(MethodCall.Immediate)
    }

    let declared: MemberTable.Method
    let body: Body
    let callType: CallType
    /// Whether arguments or result may hold an object, which has an address of its own on every connection.
    let takesObjects: Bool
    let givesObjects: Bool
    /// The body of an immediate method whose arguments and result are plain bytes.
    let immediate: MethodCall.Immediate?

    init(_ declared: MemberTable.Method, _ body: Body, _ callType: CallType) {
        self.declared = declared
        self.body = body
        self.callType = callType
        takesObjects = declared.parameters.type.mayHoldObject
        givesObjects = declared.returns.type.mayHoldObject
        if case .immediate(let body) = body, !takesObjects, !givesObjects { immediate = body } else { immediate = nil }
    }
}
