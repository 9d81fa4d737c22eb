public import NIOCore

/// A Swift type with a qi type of its own: the static counterpart of `QiValue`.
///
/// Not `Codable`, which cannot state its shape before it has a value.
public protocol QiConvertible: Sendable {
    /// The qi type; the same for all values.
    static var qiType: QiType { get }

    /// Writes the value as `qiType`.
    ///
    /// Object references are written as `ObjectCoding.standard` has it; for another coding write `qiValue` with `writeQi`.
    ///
    /// - Throws: `.value` for a value that has no wire form, such as an object reference without metaobject.
    func write(to buffer: inout ByteBuffer) throws(WireError)

    /// Reads a value written as `qiType`; counts are checked against the bytes that are left.
    ///
    /// - Throws: as `ByteBuffer.readQi`.
    init(reading buffer: inout ByteBuffer) throws(WireError)

    /// The value, of type `qiType`.
    var qiValue: QiValue { get }

    /// Converts from any value that can be converted (reference §22).
    ///
    /// - Throws: `.conversion`.
    init(qiValue: QiValue) throws(WireError)

    /// Writes the elements of a list, without its count. Numbers do all at once.
    ///
    /// - Throws: as `write(to:)`.
    static func writeElements(_ elements: [Self], to buffer: inout ByteBuffer) throws(WireError)

    /// Reads the elements of a list whose count was read and checked.
    ///
    /// - Throws: as `init(reading:)`.
    static func readElements(_ count: Int, from buffer: inout ByteBuffer) throws(WireError) -> [Self]
}

extension QiConvertible {
    /// Writes one after the other.
    public static func writeElements(_ elements: [Self], to buffer: inout ByteBuffer) throws(WireError) {
        for element in elements { try element.write(to: &buffer) }
    }

    /// Reads one after the other.
    public static func readElements(_ count: Int, from buffer: inout ByteBuffer) throws(WireError) -> [Self] {
        var elements: [Self] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try Self(reading: &buffer)) }
        return elements
    }

    /// Writes `qiValue`.
    public func write(to buffer: inout ByteBuffer) throws(WireError) {
        try buffer.writeQi(qiValue, as: Self.qiType)
    }

    /// Reads a `QiValue` and converts it.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        try self.init(qiValue: try buffer.readQi(Self.qiType))
    }

    /// The signature of `qiType`.
    public static var qiSignature: Signature { Signature(qiType) }
}

extension QiValue {
    /// The value converted to `type` from the type it has by itself.
    ///
    /// - Throws: `.conversion`.
    public func converted(to type: QiType) throws(WireError) -> QiValue {
        try converted(from: inferredType, to: type)
    }
}
