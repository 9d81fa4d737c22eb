import QiWire

/// The members of one metaobject with their signatures parsed once, found by uid and by name: what every call needs.
struct MemberTable: Sendable {
    /// A class, like ``Signal``: a call or an event passes it on as one reference.
    final class Method: Sendable {
        let meta: MetaMethod
        let parameters: Signature
        let returns: Signature

        init(_ meta: MetaMethod, parameters: Signature, returns: Signature) {
            self.meta = meta
            self.parameters = parameters
            self.returns = returns
        }

        /// Whether the method may be called with this many arguments.
        func takes(_ count: Int) -> Bool { parameters.type == .dynamic || parameters.type.tupleMembers?.count == count }
    }

    final class Signal: Sendable {
        let meta: MetaSignal
        let signature: Signature
        /// Whether an event may hold an object, which has an address of its own on every connection.
        let mayHoldObject: Bool

        init(_ meta: MetaSignal, _ signature: Signature) {
            self.meta = meta
            self.signature = signature
            mayHoldObject = signature.type.mayHoldObject
        }
    }

    struct Property: Sendable {
        let meta: MetaProperty
        let signature: Signature
    }

    let metaObject: MetaObject
    private let methods: ActionTable<Method>
    private let methodsByName: [String: [Method]]
    private let signals: ActionTable<Signal>
    private let properties: [UInt32: Property]

    /// Members whose signatures cannot be parsed are left out: they cannot be called, the others can.
    init(_ metaObject: MetaObject) {
        self.metaObject = metaObject
        let parsed = metaObject.methods.compactMap { meta -> Method? in
            guard let parameters = Self.signature(meta.parametersSignature), let returns = Self.signature(meta.returnSignature) else { return nil }
            return Method(meta, parameters: parameters, returns: returns)
        }
        methods = ActionTable(parsed.map { ($0.meta.uid, $0) })
        methodsByName = Dictionary(grouping: parsed, by: \.meta.name)
        signals = ActionTable(
            metaObject.signals.compactMap { meta in Self.signature(meta.signature).map { (meta.uid, Signal(meta, $0)) } })
        properties = Dictionary(
            metaObject.properties.compactMap { meta in
                (try? Signature(meta.signature)).map { (meta.uid, Property(meta: meta, signature: $0)) }
            }, uniquingKeysWith: { first, _ in first })
    }

    /// Those of the members that every object has, and of what directories tell: half of what a new session would parse, and the longest.
    private static let known: [String: Signature] = {
        let generic = MetaObject.generic
        var texts = generic.methods.flatMap { [$0.parametersSignature, $0.returnSignature] } + generic.signals.map(\.signature)
        let info = ServiceInfo.signature.text
        texts += [info, "(\(info))", "[\(info)]", "(s)", "(Is)"]
        return Dictionary(texts.compactMap { text in (try? Signature(text)).map { (text, $0) } }, uniquingKeysWith: { first, _ in first })
    }()

    private static func signature(_ text: String) -> Signature? { known[text] ?? (try? Signature(text)) }

    func method(_ uid: UInt32) -> Method? { methods[uid] }
    func signal(_ uid: UInt32) -> Signal? { signals[uid] }
    func property(_ uid: UInt32) -> Property? { properties[uid] }

    /// Which method a name and arguments mean (wire reference §21). The usual case, one overload that takes so many arguments, costs
    /// one look-up.
    func resolve(_ name: String, _ arguments: [QiValue]) throws(WireError) -> Method {
        if let overloads = methodsByName[name] {
            if overloads.count == 1, overloads[0].takes(arguments.count) { return overloads[0] }
            let fitting = overloads.filter { $0.takes(arguments.count) }
            if fitting.count == 1 { return fitting[0] }
        }
        return try table(try OverloadResolution.resolve(name, arguments: arguments, in: metaObject))
    }

    /// As above, for arguments of these static types.
    func resolve(_ name: String, types: [QiType]) throws(WireError) -> Method {
        try table(try OverloadResolution.resolve(name, types: types, in: metaObject))
    }

    private func table(_ method: MetaMethod) throws(WireError) -> Method {
        if let known = methods[method.uid] { return known }
        return Method(method, parameters: try method.parsedParameters(), returns: try method.parsedReturn())
    }
}
