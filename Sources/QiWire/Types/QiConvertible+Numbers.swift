public import NIOCore

/// What the integer types share: their bytes are the value, little-endian.
public protocol QiInteger: QiConvertible, FixedWidthInteger {
    /// The value in its case.
    static func wrap(_ value: Self) -> QiValue
}

extension QiInteger {
    /// Writes the bytes, little-endian.
    @inlinable
    public func write(to buffer: inout ByteBuffer) throws(WireError) {
        buffer.writeInteger(self, endianness: .little)
    }

    /// Reads the bytes, little-endian.
    @inlinable
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        guard let value = buffer.readInteger(endianness: .little, as: Self.self) else { throw .truncated("a number") }
        self = value
    }

    /// Writes all in one access to the buffer.
    public static func writeElements(_ elements: [Self], to buffer: inout ByteBuffer) throws(WireError) {
        buffer.writeNumbers(elements) { UInt64(truncatingIfNeeded: $0) }
    }

    /// Reads all in one access to the buffer.
    public static func readElements(_ count: Int, from buffer: inout ByteBuffer) throws(WireError) -> [Self] {
        try buffer.readNumbers(count) { Self(truncatingIfNeeded: $0) }
    }

    /// The value in its case.
    public var qiValue: QiValue { Self.wrap(self) }

    /// Converts from another number, range checked; a float is truncated toward zero (reference §22).
    public init(qiValue: QiValue) throws(WireError) {
        self = try QiNumber(qiValue, for: Self.qiType).integer(for: Self.qiType)
    }
}

extension Int8: QiInteger {
    /// `c`.
    public static var qiType: QiType { .int8 }
    /// The value in its case.
    public static func wrap(_ value: Int8) -> QiValue { .int8(value) }
}
extension UInt8: QiInteger {
    /// `C`.
    public static var qiType: QiType { .uint8 }
    /// The value in its case.
    public static func wrap(_ value: UInt8) -> QiValue { .uint8(value) }
}
extension Int16: QiInteger {
    /// `w`.
    public static var qiType: QiType { .int16 }
    /// The value in its case.
    public static func wrap(_ value: Int16) -> QiValue { .int16(value) }
}
extension UInt16: QiInteger {
    /// `W`.
    public static var qiType: QiType { .uint16 }
    /// The value in its case.
    public static func wrap(_ value: UInt16) -> QiValue { .uint16(value) }
}
extension Int32: QiInteger {
    /// `i`.
    public static var qiType: QiType { .int32 }
    /// The value in its case.
    public static func wrap(_ value: Int32) -> QiValue { .int32(value) }
}
extension UInt32: QiInteger {
    /// `I`.
    public static var qiType: QiType { .uint32 }
    /// The value in its case.
    public static func wrap(_ value: UInt32) -> QiValue { .uint32(value) }
}
extension Int64: QiInteger {
    /// `l`.
    public static var qiType: QiType { .int64 }
    /// The value in its case.
    public static func wrap(_ value: Int64) -> QiValue { .int64(value) }
}
extension UInt64: QiInteger {
    /// `L`.
    public static var qiType: QiType { .uint64 }
    /// The value in its case.
    public static func wrap(_ value: UInt64) -> QiValue { .uint64(value) }
}
extension Int: QiInteger {
    /// `l`.
    public static var qiType: QiType { .int64 }
    /// The value in its case.
    public static func wrap(_ value: Int) -> QiValue { .int64(Int64(value)) }
}
extension UInt: QiInteger {
    /// `L`.
    public static var qiType: QiType { .uint64 }
    /// The value in its case.
    public static func wrap(_ value: UInt) -> QiValue { .uint64(UInt64(value)) }
}

extension Bool: QiConvertible {
    /// `b`.
    public static var qiType: QiType { .bool }

    /// Writes 0 or 1.
    @inlinable
    public func write(to buffer: inout ByteBuffer) throws(WireError) { buffer.writeInteger(self ? 1 : 0, as: UInt8.self) }

    /// Reads 0 or 1.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        let byte = try UInt8(reading: &buffer)
        guard byte <= 1 else { throw WireError(.value, "Expected 0 or 1 for a bool, got \(byte)") }
        self = byte == 1
    }

    /// The value in its case.
    public var qiValue: QiValue { .bool(self) }

    /// Converts from a bool, 0, 1, or a float within 0.01 of them (reference §22).
    public init(qiValue: QiValue) throws(WireError) { self = try QiNumber(qiValue, for: .bool).bool() }
}

extension Float: QiConvertible {
    /// `f`.
    public static var qiType: QiType { .float }

    /// Writes the IEEE 754 bytes.
    @inlinable
    public func write(to buffer: inout ByteBuffer) throws(WireError) { buffer.writeInteger(bitPattern, endianness: .little) }

    /// Reads the IEEE 754 bytes.
    public init(reading buffer: inout ByteBuffer) throws(WireError) { self.init(bitPattern: try UInt32(reading: &buffer)) }

    /// Writes all in one access to the buffer.
    public static func writeElements(_ elements: [Float], to buffer: inout ByteBuffer) throws(WireError) {
        buffer.writeNumbers(elements) { UInt64($0.bitPattern) }
    }

    /// Reads all in one access to the buffer.
    public static func readElements(_ count: Int, from buffer: inout ByteBuffer) throws(WireError) -> [Float] {
        try buffer.readNumbers(count) { Float(bitPattern: UInt32(truncatingIfNeeded: $0)) }
    }

    /// The value in its case.
    public var qiValue: QiValue { .float(self) }

    /// Converts from a number, rounding; a double out of range fails (reference §22).
    public init(qiValue: QiValue) throws(WireError) {
        if case .float(let value) = qiValue { self = value } else { self = try QiNumber(qiValue, for: .float).float() }
    }
}

extension Double: QiConvertible {
    /// `d`.
    public static var qiType: QiType { .double }

    /// Writes the IEEE 754 bytes.
    @inlinable
    public func write(to buffer: inout ByteBuffer) throws(WireError) { buffer.writeInteger(bitPattern, endianness: .little) }

    /// Reads the IEEE 754 bytes.
    public init(reading buffer: inout ByteBuffer) throws(WireError) { self.init(bitPattern: try UInt64(reading: &buffer)) }

    /// Writes all in one access to the buffer.
    public static func writeElements(_ elements: [Double], to buffer: inout ByteBuffer) throws(WireError) {
        buffer.writeNumbers(elements) { $0.bitPattern }
    }

    /// Reads all in one access to the buffer.
    public static func readElements(_ count: Int, from buffer: inout ByteBuffer) throws(WireError) -> [Double] {
        try buffer.readNumbers(count) { Double(bitPattern: $0) }
    }

    /// The value in its case.
    public var qiValue: QiValue { .double(self) }

    /// Converts from a number, rounding (reference §22).
    public init(qiValue: QiValue) throws(WireError) { self = try QiNumber(qiValue, for: .double).double }
}
