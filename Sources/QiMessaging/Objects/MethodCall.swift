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
    /// The arguments that are left, last first, and whether they and the result are values.
    @usableFromInline var values: [QiValue]
    @usableFromInline let takesValues: Bool
    @usableFromInline let givesValue: Bool
    /// The result, when it is a value: none or one. An array, for it costs a pointer where a value costs many words in every copy.
    @usableFromInline var results: [QiValue] = []

    var resultValue: QiValue? {
        get { results.first }
        set { results = newValue.map { [$0] } ?? [] }
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

    /// All arguments, of a call that takes values.
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
        guard let value = values.popLast() else { throw WireError(.truncated, "the call has fewer arguments than its method takes") }
        return try Argument(qiValue: value)
    }

    /// Gives the result. A method that returns nothing never does.
    ///
    /// - Throws: as `QiConvertible.write(to:)`.
    @inlinable
    public mutating func reply<Result: QiConvertible>(_ value: Result) throws(WireError) {
        if givesValue {
            results = [value.qiValue]
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
