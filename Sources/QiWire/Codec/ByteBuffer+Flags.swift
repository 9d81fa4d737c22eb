public import NIOCore

/// Payloads whose form the message's flags change (reference §4).
extension ByteBuffer {
    /// Reads the arguments of a call, post or event, and the return type that the caller asks for.
    ///
    /// With DynamicPayload the arguments come as one dynamic and still have to be converted: `QiArguments.converted(to:)`. With
    /// ReturnType a signature follows them.
    ///
    /// - Returns: the arguments with the types they came in; the wanted return type, nil without that flag.
    /// - Throws: as `readQiArguments`; `.signature` for a return type outside the grammar.
    public mutating func readQiArguments(
        _ parameters: Signature, flags: MessageFlags, objects: ObjectCoding = .standard, limits: CodingLimits = .standard
    ) throws(WireError) -> (arguments: QiArguments, returnType: Signature?) {
        let signature = flags.contains(.dynamicPayload) ? Signature.dynamic : parameters
        var rest = self
        let arguments = try rest.readQiArguments(signature, objects: objects, limits: limits)
        var returnType: Signature?
        if flags.contains(.returnType) { returnType = try rest.readQiSignature() }
        self = rest
        return (arguments, returnType)
    }

    /// Reads what a method returned, converted to its declared type if the reply came with DynamicPayload.
    ///
    /// - Throws: as `readQi`; `.conversion` when the dynamic does not fit.
    public mutating func readQiReturn(
        _ returns: Signature, flags: MessageFlags, objects: ObjectCoding = .standard, limits: CodingLimits = .standard
    ) throws(WireError) -> QiValue {
        guard flags.contains(.dynamicPayload) else { return try readQi(returns.type, objects: objects, limits: limits) }
        return try readQi(.dynamic, objects: objects, limits: limits).converted(from: .dynamic, to: returns.type)
    }
}

extension QiArguments {
    /// The values as the parameters declare them: each converted, or all as they are when the parameters are `m` (reference §22).
    ///
    /// - Throws: `.conversion` when their number differs or one cannot be converted.
    public func converted(to parameters: Signature) throws(WireError) -> [QiValue] {
        guard let targets = parameters.elements else { return values }
        guard targets.count == values.count, types.count == values.count else {
            throw WireError(.conversion, "\(values.count) arguments were given, \(parameters.text) takes \(targets.count)")
        }
        var converted: [QiValue] = []
        converted.reserveCapacity(values.count)
        for index in values.indices {
            converted.append(try values[index].converted(from: types[index], to: targets[index]))
        }
        return converted
    }
}
