public import NIOCore

/// Nothing, for methods that return no value: `Void` itself cannot conform to a protocol.
public struct QiVoid: QiConvertible, Hashable {
    /// Creates nothing.
    public init() {}
    /// `v`.
    public static var qiType: QiType { .void }
    /// Writes no bytes.
    public func write(to buffer: inout ByteBuffer) throws(WireError) {}
    /// Reads no bytes.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {}
    /// Void.
    public var qiValue: QiValue { .void }
    /// Drops any value.
    public init(qiValue: QiValue) throws(WireError) {}
}
