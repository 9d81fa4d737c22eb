/// A number on its way from one numeric type to another (reference §22).
enum QiNumber {
    case signed(Int64)
    case unsigned(UInt64)
    case floating(Double)

    /// Nil when the value is no number.
    init?(_ value: QiValue) {
        switch value {
        case .bool(let value): self = .signed(value ? 1 : 0)
        case .float(let value): self = .floating(Double(value))
        case .double(let value): self = .floating(value)
        case .uint64(let value): self = .unsigned(value)
        default:
            guard let integer = value.asInt else { return nil }
            self = .signed(integer)
        }
    }

    /// - Throws: `.conversion` when the value is no number, be it within dynamics.
    init(_ value: QiValue, for type: QiType) throws(WireError) {
        var value = value
        if case .dynamic(let dynamic) = value { value = dynamic.unwrapped().value }
        if case .optional = value { throw .conversion(value.inferredType, type) }
        guard let number = QiNumber(value) else { throw .conversion(value.inferredType, type) }
        self = number
    }

    /// The integer nearest toward zero.
    func integer<Integer: FixedWidthInteger>(for type: QiType) throws(WireError) -> Integer {
        let result: Integer? =
            switch self {
            case .signed(let value): Integer(exactly: value)
            case .unsigned(let value): Integer(exactly: value)
            case .floating(let value): Integer(exactly: value.rounded(.towardZero))
            }
        guard let result else { throw outOfRange(type) }
        return result
    }

    func bool() throws(WireError) -> Bool {
        switch self {
        case .signed(0), .unsigned(0): return false
        case .signed(1), .unsigned(1): return true
        case .floating(let value) where abs(value) < 0.01: return false
        case .floating(let value) where abs(value - 1) < 0.01: return true
        default: throw outOfRange(.bool)
        }
    }

    /// Infinity has no counterpart: libqi refuses to write it as `f` (reference §7).
    func float() throws(WireError) -> Float {
        let value = double
        let result = Float(value)
        guard result.isFinite || value.isNaN else { throw outOfRange(.float) }
        return result
    }

    var double: Double {
        switch self {
        case .signed(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .floating(let value): value
        }
    }

    private func outOfRange(_ type: QiType) -> WireError {
        WireError(.conversion, "the number \(text) is out of the range of \(type.signatureText)")
    }

    private var text: String {
        switch self {
        case .signed(let value): String(value)
        case .unsigned(let value): String(value)
        case .floating(let value): String(value)
        }
    }
}

extension WireError {
    @inline(never)
    static func conversion(_ source: QiType, _ target: QiType) -> WireError {
        WireError(.conversion, "cannot convert \(source.shownText) to \(target.shownText)")
    }
}
