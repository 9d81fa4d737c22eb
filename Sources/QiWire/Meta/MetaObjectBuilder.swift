/// Puts a metaobject together, giving out uids from 100 upward (reference §5, §9).
public struct MetaObjectBuilder: Sendable {
    private var metaObject: MetaObject
    private var nextUID: UInt32

    /// Begins with the generic members.
    public init(description: String = "") {
        metaObject = .generic
        metaObject.description = description
        nextUID = WellKnownActions.firstUserAction
    }

    /// Adds a method.
    ///
    /// - Parameters:
    ///   - parameters: a tuple, or `m` for any arguments.
    ///   - uid: a fixed id not in use yet; nil takes the next.
    /// - Returns: its uid.
    @discardableResult
    public mutating func addMethod(
        _ name: String, parameters: Signature, returns: Signature = .void, description: String = "",
        parameterDescriptions: [MetaMethodParameter] = [], returnDescription: String = "", uid: UInt32? = nil
    ) -> UInt32 {
        let uid = take(uid)
        metaObject.methods.append(
            MetaMethod(
                uid: uid, returnSignature: returns.text, name: name, parametersSignature: parameters.text,
                description: description, parameters: parameterDescriptions, returnDescription: returnDescription))
        return uid
    }

    /// Adds a signal whose parameters have this signature, a tuple or `m`.
    ///
    /// - Returns: its uid.
    @discardableResult
    public mutating func addSignal(_ name: String, _ signature: Signature, uid: UInt32? = nil) -> UInt32 {
        let uid = take(uid)
        metaObject.signals.append(MetaSignal(uid: uid, name: name, signature: signature.text))
        return uid
    }

    /// Adds a property of this type, and under the same uid its signal, whose signature is the type in a tuple.
    ///
    /// - Returns: their uid.
    @discardableResult
    public mutating func addProperty(_ name: String, _ signature: Signature, uid: UInt32? = nil) -> UInt32 {
        let uid = take(uid)
        metaObject.properties.append(MetaProperty(uid: uid, name: name, signature: signature.text))
        metaObject.signals.append(MetaSignal(uid: uid, name: name, signature: "(\(signature.text))"))
        return uid
    }

    /// The metaobject so far.
    public func build() -> MetaObject { metaObject }

    private mutating func take(_ wanted: UInt32?) -> UInt32 {
        let uid = wanted ?? nextUID
        // Two members of our own under one id is a bug of ours, and would send calls astray.
        precondition(
            metaObject.method(uid) == nil && metaObject.signal(uid) == nil, "the uid \(uid) is in use")
        nextUID = max(nextUID, uid + 1)
        return uid
    }
}
