public import NIOCore

extension Array: QiConvertible where Element: QiConvertible {
    /// `[e]`.
    public static var qiType: QiType { .list(Element.qiType) }

    /// Writes count and elements.
    public func write(to buffer: inout ByteBuffer) throws(WireError) {
        buffer.writeQiUInt32(UInt32(truncatingIfNeeded: count))
        try Element.writeElements(self, to: &buffer)
    }

    /// Reads count and elements.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        let count = try buffer.readQiCount(elementSize: Element.qiType.minimumSize)
        self = try Element.readElements(count, from: &buffer)
    }

    /// The elements.
    public var qiValue: QiValue { .list(map(\.qiValue)) }

    /// Converts a list element by element; one failure fails all.
    public init(qiValue: QiValue) throws(WireError) {
        self.init()
        let value = qiValue.withoutDynamics
        guard case .list(let elements) = value else { throw .conversion(value.inferredType, Self.qiType) }
        for element in elements { append(try Element(qiValue: element)) }
    }
}

extension Dictionary: QiConvertible where Key: QiConvertible, Value: QiConvertible {
    /// `{kv}`.
    public static var qiType: QiType { .map(key: Key.qiType, value: Value.qiType) }

    /// Writes count and entries, in no particular order.
    public func write(to buffer: inout ByteBuffer) throws(WireError) {
        buffer.writeQiUInt32(UInt32(truncatingIfNeeded: count))
        for (key, value) in self {
            try key.write(to: &buffer)
            try value.write(to: &buffer)
        }
    }

    /// Reads count and entries; of equal keys the last counts.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        let count = try buffer.readQiCount(elementSize: Key.qiType.minimumSize + Value.qiType.minimumSize)
        self.init()
        for _ in 0..<count {
            let key = try Key(reading: &buffer)
            self[key] = try Value(reading: &buffer)
        }
    }

    /// The entries, in no particular order.
    public var qiValue: QiValue { .map(map { QiMapEntry(key: $0.key.qiValue, value: $0.value.qiValue) }) }

    /// Converts a map, or a list of pairs; one failure fails all.
    public init(qiValue: QiValue) throws(WireError) {
        self.init()
        switch qiValue.withoutDynamics {
        case .map(let entries):
            for entry in entries { self[try Key(qiValue: entry.key)] = try Value(qiValue: entry.value) }
        case .list(let elements):
            for element in elements {
                guard case .tuple(let pair) = element.withoutDynamics, pair.count == 2 else {
                    throw .conversion(element.inferredType, Self.qiType)
                }
                self[try Key(qiValue: pair[0])] = try Value(qiValue: pair[1])
            }
        case let other: throw .conversion(other.inferredType, Self.qiType)
        }
    }
}

extension Optional: QiConvertible where Wrapped: QiConvertible {
    /// `+e`.
    public static var qiType: QiType { .optional(Wrapped.qiType) }

    /// Writes 0, or 1 and the content.
    public func write(to buffer: inout ByteBuffer) throws(WireError) {
        buffer.writeInteger(self == nil ? 0 : 1, as: UInt8.self)
        if let self { try self.write(to: &buffer) }
    }

    /// Reads 0, or 1 and the content.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        switch try UInt8(reading: &buffer) {
        case 0: self = nil
        case 1: self = try Wrapped(reading: &buffer)
        case let byte: throw WireError(.value, "Expected 0 or 1 for an optional, got \(byte)")
        }
    }

    /// The content, if any.
    public var qiValue: QiValue { .optional(self?.qiValue) }

    /// Converts void and an absent optional to nil, anything else by its content.
    public init(qiValue: QiValue) throws(WireError) {
        switch qiValue.withoutDynamics {
        case .void, .optional(nil): self = nil
        case .optional(let content?): self = try Wrapped(qiValue: content)
        default: self = try Wrapped(qiValue: qiValue)
        }
    }
}

extension QiValue {
    /// The value within any nesting of dynamics.
    var withoutDynamics: QiValue {
        if case .dynamic(let dynamic) = self { dynamic.unwrapped().value } else { self }
    }
}

extension ByteBuffer {
    /// A count, checked against the bytes that are left.
    mutating func readQiCount(elementSize: Int) throws(WireError) -> Int {
        let count = Int(try readQiUInt32())
        guard elementSize > 0 || count <= CodingLimits.free else {
            throw WireError(.limit, "a container of \(count) empty elements")
        }
        let (needed, overflow) = count.multipliedReportingOverflow(by: elementSize)
        guard !overflow, needed <= readableBytes else { throw .truncated("a container of \(count) elements") }
        return count
    }
}
