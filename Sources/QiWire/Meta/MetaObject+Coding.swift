public import NIOCore

extension MetaObject {
    /// The signature of a metaobject, exactly as libqi writes it (reference §8).
    public static let signature: Signature =
        "({I(Issss[(ss)<MetaMethodParameter,name,description>]s)<MetaMethod,uid,returnSignature,name,parametersSignature,description,parameters,returnDescription>}{I(Iss)<MetaSignal,uid,name,signature>}{I(Iss)<MetaProperty,uid,name,signature>}s)<MetaObject,methods,signals,properties,description>"

    /// The most methods, signals or properties accepted from a peer, each.
    public static let maximumMembers = 65_536

    /// Reads a metaobject. Text that is not UTF-8 is repaired: it is only for people or for look-ups that it would fail anyway.
    ///
    /// A member whose uid differs from its map key counts under the key; of several with one key the first counts.
    ///
    /// - Throws: `.truncated` for too few bytes, `.limit` for more than `maximumMembers`.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        var methods: [MetaMethod] = []
        var signals: [MetaSignal] = []
        var properties: [MetaProperty] = []
        for _ in 0..<(try buffer.readMemberCount(size: 32)) { methods.append(try buffer.readMetaMethod()) }
        for _ in 0..<(try buffer.readMemberCount(size: 16)) {
            let (uid, name, signature) = try buffer.readMetaMember()
            signals.append(MetaSignal(uid: uid, name: name, signature: signature))
        }
        for _ in 0..<(try buffer.readMemberCount(size: 16)) {
            let (uid, name, signature) = try buffer.readMetaMember()
            properties.append(MetaProperty(uid: uid, name: name, signature: signature))
        }
        let description = try buffer.readMetaText()
        self.init(methods: methods, signals: signals, properties: properties, description: description)
    }

    /// How many bytes ``write(to:)`` writes.
    public var encodedLength: Int {
        var length = 4 * 4 + description.utf8.count
        for method in methods {
            let texts = [method.returnSignature, method.name, method.parametersSignature, method.description, method.returnDescription]
            length += 8 + 4 + texts.reduce(0) { $0 + 4 + $1.utf8.count }
            length += method.parameters.reduce(0) { $0 + 8 + $1.name.utf8.count + $1.description.utf8.count }
        }
        for signal in signals { length += 16 + signal.name.utf8.count + signal.signature.utf8.count }
        for property in properties { length += 16 + property.name.utf8.count + property.signature.utf8.count }
        return length
    }

    /// Writes the metaobject, members in the order they are kept.
    public func write(to buffer: inout ByteBuffer) {
        buffer.writeQiUInt32(UInt32(truncatingIfNeeded: methods.count))
        for method in methods {
            buffer.writeQiUInt32(method.uid)
            buffer.writeQiUInt32(method.uid)
            buffer.writeQiString(method.returnSignature)
            buffer.writeQiString(method.name)
            buffer.writeQiString(method.parametersSignature)
            buffer.writeQiString(method.description)
            buffer.writeQiUInt32(UInt32(truncatingIfNeeded: method.parameters.count))
            for parameter in method.parameters {
                buffer.writeQiString(parameter.name)
                buffer.writeQiString(parameter.description)
            }
            buffer.writeQiString(method.returnDescription)
        }
        buffer.writeQiUInt32(UInt32(truncatingIfNeeded: signals.count))
        for signal in signals { buffer.writeMetaMember(signal.uid, signal.name, signal.signature) }
        buffer.writeQiUInt32(UInt32(truncatingIfNeeded: properties.count))
        for property in properties { buffer.writeMetaMember(property.uid, property.name, property.signature) }
        buffer.writeQiString(description)
    }
}

extension MetaObject: QiConvertible {
    /// `MetaObject.signature`.
    public static var qiType: QiType { signature.type }

    /// As a value of type `MetaObject.signature`.
    public var qiValue: QiValue {
        func member(_ uid: UInt32, _ texts: String...) -> QiMapEntry {
            QiMapEntry(key: .uint32(uid), value: .tuple([.uint32(uid)] + texts.map { .string($0) }))
        }
        let methods = methods.map { method in
            let parameters = method.parameters.map { QiValue.tuple([.string($0.name), .string($0.description)]) }
            let texts = [method.returnSignature, method.name, method.parametersSignature, method.description]
            let head: [QiValue] = [.uint32(method.uid)] + texts.map { .string($0) }
            return QiMapEntry(
                key: .uint32(method.uid), value: .tuple(head + [.list(parameters), .string(method.returnDescription)]))
        }
        return .tuple([
            .map(methods), .map(signals.map { member($0.uid, $0.name, $0.signature) }),
            .map(properties.map { member($0.uid, $0.name, $0.signature) }), .string(description),
        ])
    }

    /// Takes a value of type `MetaObject.signature`, or a dynamic holding one.
    ///
    /// - Throws: `.value` for another shape, `.limit` for too many members.
    public init(qiValue: QiValue) throws(WireError) {
        var buffer = ByteBuffer()
        try buffer.writeQi(qiValue.withoutDynamics, as: MetaObject.signature.type)
        try self.init(reading: &buffer)
    }
}

extension ByteBuffer {
    /// A count of members, each of at least `size` bytes, key included.
    fileprivate mutating func readMemberCount(size: Int) throws(WireError) -> Int {
        let count = Int(try readQiUInt32())
        guard count <= MetaObject.maximumMembers else {
            throw WireError(.limit, "a metaobject with \(count) members of one kind")
        }
        guard count * size <= readableBytes else { throw .truncated("a metaobject") }
        return count
    }

    fileprivate mutating func readMetaMethod() throws(WireError) -> MetaMethod {
        let key = try readQiUInt32()
        _ = try readQiUInt32()
        let returns = try readMetaText()
        let name = try readMetaText()
        let parametersSignature = try readMetaText()
        let description = try readMetaText()
        let count = Int(try readQiUInt32())
        guard count * 8 <= readableBytes else { throw .truncated("a method's parameters") }
        var parameters: [MetaMethodParameter] = []
        for _ in 0..<count {
            parameters.append(MetaMethodParameter(name: try readMetaText(), description: try readMetaText()))
        }
        return MetaMethod(
            uid: key, returnSignature: returns, name: name, parametersSignature: parametersSignature,
            description: description, parameters: parameters, returnDescription: try readMetaText())
    }

    fileprivate mutating func readMetaMember() throws(WireError) -> (UInt32, String, String) {
        let key = try readQiUInt32()
        _ = try readQiUInt32()
        return (key, try readMetaText(), try readMetaText())
    }

    fileprivate mutating func writeMetaMember(_ uid: UInt32, _ name: String, _ signature: String) {
        writeQiUInt32(uid)
        writeQiUInt32(uid)
        writeQiString(name)
        writeQiString(signature)
    }

    fileprivate mutating func readMetaText() throws(WireError) -> String {
        guard var bytes = readLengthPrefixedQiBytes() else { throw .truncated("a metaobject's text") }
        return bytes.readString(length: bytes.readableBytes) ?? ""
    }
}
