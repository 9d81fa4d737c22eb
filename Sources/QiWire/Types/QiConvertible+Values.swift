public import NIOCore

extension QiValue: QiConvertible {
    /// `m`: a value of any type.
    public static var qiType: QiType { .dynamic }

    /// Writes a dynamic; one that is dynamic already is not nested.
    public func write(to buffer: inout ByteBuffer) throws(WireError) {
        try buffer.writeQi(.dynamic(QiDynamic(self)), as: .dynamic)
    }

    /// Reads a dynamic, which keeps its exact signature.
    public init(reading buffer: inout ByteBuffer) throws(WireError) { self = try buffer.readQi(.dynamic) }

    /// The value as a dynamic.
    public var qiValue: QiValue { .dynamic(QiDynamic(self)) }

    /// Takes any value as it is.
    public init(qiValue: QiValue) throws(WireError) { self = qiValue }
}

extension QiDynamic: QiConvertible {
    /// `m`.
    public static var qiType: QiType { .dynamic }

    /// Writes signature and value.
    public func write(to buffer: inout ByteBuffer) throws(WireError) { try buffer.writeQi(.dynamic(self), as: .dynamic) }

    /// Reads signature and value.
    public init(reading buffer: inout ByteBuffer) throws(WireError) { self.init(try buffer.readQi(.dynamic)) }

    /// The dynamic in its case.
    public var qiValue: QiValue { .dynamic(self) }

    /// Wraps any value.
    public init(qiValue: QiValue) throws(WireError) { self.init(qiValue) }
}

extension ObjectReference: QiConvertible {
    /// `o`.
    public static var qiType: QiType { .object }

    /// The reference in its case.
    public var qiValue: QiValue { .object(self) }

    /// Takes an object reference.
    public init(qiValue: QiValue) throws(WireError) {
        guard case .object(let reference) = qiValue.withoutDynamics else { throw .conversion(qiValue.inferredType, .object) }
        self = reference
    }
}
