/// A value together with its exact signature: the content of an `m` (reference §7).
public struct QiDynamic: Hashable, Sendable {
    /// The signature, exactly as received or given.
    public var signature: Signature
    /// The value, of the type that the signature describes.
    public var value: QiValue

    /// A dynamic of a given signature. Whether `value` fits is found out when it is written.
    public init(signature: Signature, value: QiValue) {
        self.signature = signature
        self.value = value
    }

    /// A dynamic whose signature is the value's natural one; a dynamic is taken as it is and not nested.
    public init(_ value: QiValue) {
        if case .dynamic(let dynamic) = value {
            self = dynamic
        } else {
            signature = Signature(value.inferredType)
            self.value = value
        }
    }

    /// Whether the signature was empty: "no value", which is less than void (reference §7).
    public var isEmpty: Bool { signature.text.isEmpty }

    /// The innermost dynamic of dynamics within dynamics, whatever their depth.
    public func unwrapped() -> QiDynamic {
        var dynamic = self
        while case .dynamic(let inner) = dynamic.value { dynamic = inner }
        return dynamic
    }
}
