public import NIOCore
public import QiWire

/// One call of a typed method: its arguments are taken in order, its result is given once. What a binding's method works with.
///
/// Over a connection both are bytes, read and written as the types of Swift say. In the same process both are values, and nothing
/// is encoded.
public struct MethodCall: Sendable {
    /// The body of a method that never suspends.
    typealias Immediate = @Sendable (inout MethodCall) throws -> Void

    @usableFromInline var bytes: ByteBuffer
    @usableFromInline var result: ByteBuffer
    /// What follows `result`: big raw bytes, which are sent from where they lie.
    @usableFromInline var tail: ByteBuffer?
    /// The result, if it is a value and was given, then the arguments that are left, last first. One array, for each costs in every copy.
    @usableFromInline var values: [QiValue]
    @usableFromInline var hasResultValue = false
    /// Whether the arguments and the result are values.
    @usableFromInline let takesValues: Bool
    @usableFromInline let givesValue: Bool

    var resultValue: QiValue? { hasResultValue ? values.first : nil }

    /// Gives the result, or another one.
    @usableFromInline
    mutating func setResult(_ value: QiValue) {
        if hasResultValue {
            values[0] = value
        } else if values.isEmpty {
            values = [value]
        } else {
            values.insert(value, at: 0)
        }
        hasResultValue = true
    }

    /// A call whose arguments are bytes of the declared types.
    init(bytes: ByteBuffer, result: ByteBuffer, givesValue: Bool) {
        self.bytes = bytes
        self.result = result
        values = []
        takesValues = false
        self.givesValue = givesValue
    }

    /// A call whose arguments are values of the declared types.
    init(values: [QiValue], result: ByteBuffer = ByteBuffer(), givesValue: Bool) {
        bytes = ByteBuffer()
        self.result = result
        self.values = values.reversed()
        takesValues = true
        self.givesValue = givesValue
    }

    /// All arguments, of a call that takes values and has no result yet.
    mutating func takeValues() -> [QiValue] {
        defer { values = [] }
        return values.reversed()
    }

    /// Takes the next argument.
    ///
    /// - Throws: as `QiConvertible.init(reading:)`, `.truncated` when there are no more.
    @inlinable
    public mutating func next<Argument: QiConvertible>(_ type: Argument.Type = Argument.self) throws(WireError) -> Argument {
        takesValues ? try nextValue() : try Argument(reading: &bytes)
    }

    @usableFromInline
    mutating func nextValue<Argument: QiConvertible>() throws(WireError) -> Argument {
        guard values.count > (hasResultValue ? 1 : 0), let value = values.popLast() else { throw WireError(.truncated, "the call has fewer arguments than its method takes") }
        return try Argument(qiValue: value)
    }

    /// Gives the result. A method that returns nothing never does.
    ///
    /// - Throws: as `QiConvertible.write(to:)`.
    @inlinable
    public mutating func reply<Result: QiConvertible>(_ value: Result) throws(WireError) {
        if givesValue {
            setResult(value.qiValue)
        } else if let raw = value.asBigRaw {
            result.writeInteger(UInt32(truncatingIfNeeded: raw.readableBytes), endianness: .little)
            tail = raw
        } else {
            try value.write(to: &result)
        }
    }
}

extension QiConvertible {
    /// The value, when it is so many raw bytes that a copy of them costs more than a part of their own in the frame.
    @inlinable
    var asBigRaw: ByteBuffer? {
        guard Self.self == ByteBuffer.self, let raw = self as? ByteBuffer, raw.readableBytes >= 1 << 16 else { return nil }
        return raw
    }
}

/// The arguments of a typed call, given in order. What a proxy's method fills.
public struct MethodArguments: Sendable {
    @usableFromInline var bytes: ByteBuffer
    /// What follows `bytes`: big raw bytes of the last argument, which are sent from where they lie.
    @usableFromInline var tail: ByteBuffer?
    @usableFromInline var values: [QiValue] = []
    @usableFromInline let takesValues: Bool

    init(bytes: ByteBuffer, takesValues: Bool) {
        self.bytes = bytes
        self.takesValues = takesValues
    }

    /// Gives the next argument.
    ///
    /// - Throws: as `QiConvertible.write(to:)`.
    @inlinable
    public mutating func append<Argument: QiConvertible>(_ value: Argument) throws(WireError) {
        if takesValues { return values.append(value.qiValue) }
        if let tail {
            bytes.writeImmutableBuffer(tail)
            self.tail = nil
        }
        guard let raw = value.asBigRaw else { return try value.write(to: &bytes) }
        bytes.writeInteger(UInt32(truncatingIfNeeded: raw.readableBytes), endianness: .little)
        tail = raw
    }
}
