import QiWire

/// A method of an object of this process: what is declared, and what runs. A class, so that a call passes it on as one reference.
final class ObjectMethod: Sendable {
    /// One that never suspends.
    typealias Immediate = @Sendable (inout MethodCall) throws -> Void

    enum Body: Sendable {
        case values(ObjectBuilder.Method)
        case typed(ObjectBuilder.TypedMethod)
        case immediate(Immediate)
    }

    let declared: MemberTable.Method
    let body: Body
    let callType: CallType
    /// Whether arguments or result may hold an object, which has an address of its own on every connection.
    let takesObjects: Bool
    let givesObjects: Bool
    /// The body of an immediate method whose arguments and result are plain bytes.
    let immediate: Immediate?

    init(_ declared: MemberTable.Method, _ body: Body, _ callType: CallType) {
        self.declared = declared
        self.body = body
        self.callType = callType
        takesObjects = declared.parameters.type.mayHoldObject
        givesObjects = declared.returns.type.mayHoldObject
        if case .immediate(let body) = body, !takesObjects, !givesObjects { immediate = body } else { immediate = nil }
    }
}
