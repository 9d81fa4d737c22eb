public import NIOCore

extension ByteBuffer {
    /// Reads one value of `type` and moves past it; on error the reader index stays.
    ///
    /// Strings are copied, raw bytes share this buffer's storage unless they are less than a quarter of it.
    ///
    /// - Throws: `.truncated` for too few bytes, `.limit` beyond `limits`, `.value` for a bool or optional flag that is neither 0
    ///   nor 1,
    ///   `.signature` for a bad dynamic or a type without wire form (reference §7).
    public mutating func readQi(
        _ type: QiType, objects: ObjectCoding = .standard, limits: CodingLimits = .standard
    ) throws(WireError) -> QiValue {
        var reader = ValueReader(
            buffer: self,
            budget: CodingBudget(
                objects: objects, depth: limits.maximumDepth, cap: limits.maximumElements, start: readerIndex))
        let value = try reader.read(type)
        moveReaderIndex(to: reader.buffer.readerIndex)
        return value
    }

    /// Writes a value as `type`; the value's shape has to be the type's, but anything may be written as `m`. On error nothing is
    /// written.
    ///
    /// - Throws: `.value` when the shape differs, `.signature` when the type has no wire form.
    public mutating func writeQi(
        _ value: QiValue, as type: QiType, objects: ObjectCoding = .standard
    ) throws(WireError) {
        let start = writerIndex
        do {
            try writeQiValue(value, as: type, objects: objects)
        } catch {
            moveWriterIndex(to: start)
            throw error
        }
    }

    /// Moves past one value of `type` without building it; on error the reader index stays.
    ///
    /// Bools in lists of fixed-size elements are not looked at.
    ///
    /// - Returns: whether the bytes hold an object reference, be it within a dynamic.
    /// - Throws: as `readQi`, except that the number of elements is bounded by the bytes only.
    public mutating func skipQi(
        _ type: QiType, objects: ObjectCoding = .standard, limits: CodingLimits = .standard
    ) throws(WireError) -> Bool {
        var skipper = ValueSkipper(
            buffer: self,
            budget: CodingBudget(objects: objects, depth: limits.maximumDepth, cap: nil, start: readerIndex))
        try skipper.skip(type)
        moveReaderIndex(to: skipper.buffer.readerIndex)
        return skipper.foundObject
    }

    /// Where the objects are that one value of `type` holds, at any depth and in their order; null references are left out. Nothing is
    /// built, and the reader index stays.
    ///
    /// - Throws: as `skipQi`.
    public func qiObjects(
        in type: QiType, objects: ObjectCoding = .standard, limits: CodingLimits = .standard
    ) throws(WireError) -> [ObjectAddress] {
        var skipper = ValueSkipper(
            buffer: self,
            budget: CodingBudget(objects: objects, depth: limits.maximumDepth, cap: nil, start: readerIndex), addresses: [])
        try skipper.skip(type)
        return skipper.addresses ?? []
    }

    /// Reads the arguments of a call, post or event whose parameters have this signature (reference §14).
    ///
    /// A tuple's members lie one after the other. For any other signature, `m` that is, one dynamic holds a tuple, list or map of
    /// all.
    ///
    /// - Returns: the arguments with their types.
    /// - Throws: as `readQi`; `.conversion` "Expected tuple, list or map".
    public mutating func readQiArguments(
        _ parameters: Signature, objects: ObjectCoding = .standard, limits: CodingLimits = .standard
    ) throws(WireError) -> QiArguments {
        let value = try readQi(parameters.type, objects: objects, limits: limits)
        return try QiArguments(value, as: parameters.type)
    }

    /// Writes the arguments of a call, post or event; they have to have the parameters' types.
    ///
    /// - Throws: `.value` when their number or shape differs.
    public mutating func writeQiArguments(
        _ arguments: [QiValue], as parameters: Signature, objects: ObjectCoding = .standard
    ) throws(WireError) {
        switch parameters.type {
        case .dynamic: try writeQi(.dynamic(QiDynamic(.tuple(arguments))), as: .dynamic, objects: objects)
        default: try writeQi(.tuple(arguments), as: parameters.type, objects: objects)
        }
    }

    /// Reads a 32-bit unsigned integer.
    ///
    /// - Throws: `.truncated`.
    public mutating func readQiUInt32() throws(WireError) -> UInt32 {
        guard let value = readInteger(endianness: .little, as: UInt32.self) else { throw .truncated("an integer") }
        return value
    }

    /// Writes a 32-bit unsigned integer.
    public mutating func writeQiUInt32(_ value: UInt32) {
        writeInteger(value, endianness: .little)
    }
}
