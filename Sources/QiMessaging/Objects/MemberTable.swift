import QiWire

/// The members of one metaobject with their signatures parsed once, found by uid: what every call needs.
struct MemberTable {
    struct Method {
        let meta: MetaMethod
        let parameters: Signature
        let returns: Signature
    }

    struct Signal {
        let meta: MetaSignal
        let signature: Signature
    }

    let metaObject: MetaObject
    private let methods: [UInt32: Method]
    private let signals: [UInt32: Signal]
    private let properties: [UInt32: (meta: MetaProperty, signature: Signature)]

    /// Members whose signatures cannot be parsed are left out: they cannot be called, the others can.
    init(_ metaObject: MetaObject) {
        self.metaObject = metaObject
        methods = Dictionary(
            metaObject.methods.compactMap { meta in
                guard let parameters = try? meta.parsedParameters(), let returns = try? meta.parsedReturn() else { return nil }
                return (meta.uid, Method(meta: meta, parameters: parameters, returns: returns))
            }, uniquingKeysWith: { first, _ in first })
        signals = Dictionary(
            metaObject.signals.compactMap { meta in
                (try? Signature(meta.signature)).map { (meta.uid, Signal(meta: meta, signature: $0)) }
            }, uniquingKeysWith: { first, _ in first })
        properties = Dictionary(
            metaObject.properties.compactMap { meta in
                (try? Signature(meta.signature)).map { (meta.uid, (meta, $0)) }
            }, uniquingKeysWith: { first, _ in first })
    }

    func method(_ uid: UInt32) -> Method? { methods[uid] }
    func signal(_ uid: UInt32) -> Signal? { signals[uid] }
    func property(_ uid: UInt32) -> (meta: MetaProperty, signature: Signature)? { properties[uid] }
}
