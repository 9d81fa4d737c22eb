public import NIOCore

extension QiString: QiConvertible {
    /// `s`.
    public static var qiType: QiType { .string }
    /// Writes length and bytes.
    public func write(to buffer: inout ByteBuffer) throws(WireError) { buffer.writeQiString(self) }
    /// Reads length and bytes.
    public init(reading buffer: inout ByteBuffer) throws(WireError) { self = try buffer.readQiString() }
    /// The value in its case.
    public var qiValue: QiValue { .string(self) }
    /// Takes a string.
    public init(qiValue: QiValue) throws(WireError) {
        guard case .string(let string) = try qiValue.converted(to: .string) else {
            throw .conversion(qiValue.inferredType, .string)
        }
        self = string
    }
}

extension String: QiConvertible {
    /// `s`.
    public static var qiType: QiType { .string }
    /// Writes length and UTF-8.
    public func write(to buffer: inout ByteBuffer) throws(WireError) { buffer.writeQiString(self) }

    /// Reads length and bytes.
    ///
    /// - Throws: `.value` when the bytes are not UTF-8; use `QiString` where that is to be expected.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        guard let text = try buffer.readQiText() else { throw .notText }
        self = text
    }
    /// The value in its case.
    public var qiValue: QiValue { .string(QiString(self)) }
    /// Takes a string that is UTF-8.
    public init(qiValue: QiValue) throws(WireError) { self = try String.text(of: try QiString(qiValue: qiValue)) }

    private static func text(of string: QiString) throws(WireError) -> String {
        guard let text = string.text else { throw .notText }
        return text
    }
}

extension WireError {
    fileprivate static var notText: WireError { WireError(.value, "a string is not UTF-8; read it as bytes") }
}

extension ByteBuffer: QiConvertible {
    /// `r`.
    public static var qiType: QiType { .raw }
    /// Writes length and bytes.
    public func write(to buffer: inout ByteBuffer) throws(WireError) { buffer.writeQiRaw(self) }
    /// Reads length and bytes; the result shares the buffer's storage.
    public init(reading buffer: inout ByteBuffer) throws(WireError) { self = try buffer.readQiRaw() }
    /// The value in its case.
    public var qiValue: QiValue { .raw(self) }
    /// Takes raw bytes or a string's bytes.
    public init(qiValue: QiValue) throws(WireError) {
        guard case .raw(let bytes) = try qiValue.converted(to: .raw) else { throw .conversion(qiValue.inferredType, .raw) }
        self = bytes
    }
}
