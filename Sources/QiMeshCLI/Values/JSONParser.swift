/// Reads one JSON document (RFC 8259).
struct JSONParser {
    /// Arrays and objects nest at most this deep.
    static let depthLimit = 64

    /// Why a text is no JSON.
    struct Failure: Error, Hashable {
        var message: String
        /// Bytes from the start.
        var offset: Int
    }

    private let bytes: [UInt8]
    private var position = 0

    /// Reads a whole text.
    /// - Throws: for anything but one document with blanks around it, for names given twice, and beyond ``depthLimit``.
    static func parse(_ text: String) throws(Failure) -> JSONValue {
        var parser = JSONParser(bytes: Array(text.utf8))
        let value = try parser.value(depth: 0)
        parser.skipBlanks()
        guard parser.position == parser.bytes.count else { throw parser.failure("more follows the end of the document") }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func failure(_ message: String) -> Failure { Failure(message: message, offset: position) }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private mutating func take(_ character: Character) -> Bool {
        guard let byte = next, byte == character.asciiValue else { return false }
        position += 1
        return true
    }

    private mutating func take(word: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
        let length = word.utf8CodeUnitCount
        guard position + length <= bytes.count, String(decoding: bytes[position..<position + length], as: UTF8.self) == "\(word)"
        else { throw failure("not a JSON value") }
        position += length
        return value
    }

    private mutating func value(depth: Int) throws(Failure) -> JSONValue {
        guard depth <= Self.depthLimit else { throw failure("nested deeper than \(Self.depthLimit)") }
        skipBlanks()
        guard let byte = next else { throw failure("the document ends too early") }
        switch byte {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try take(word: "true", .bool(true))
        case UInt8(ascii: "f"): return try take(word: "false", .bool(false))
        case UInt8(ascii: "n"): return try take(word: "null", .null)
        default: return try number()
        }
    }

    private mutating func array(depth: Int) throws(Failure) -> JSONValue {
        position += 1
        var elements: [JSONValue] = []
        skipBlanks()
        if take("]") { return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipBlanks()
            if take("]") { return .array(elements) }
            guard take(",") else { throw failure("expected , or ]") }
        }
    }

    private mutating func object(depth: Int) throws(Failure) -> JSONValue {
        position += 1
        var members: [(name: String, value: JSONValue)] = []
        var names: Set<String> = []
        skipBlanks()
        if take("}") { return .object(members) }
        while true {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw failure("expected a name in quotes") }
            let name = try string()
            guard names.insert(name).inserted else { throw failure("the name \"\(name)\" is given twice") }
            skipBlanks()
            guard take(":") else { throw failure("expected :") }
            members.append((name, try value(depth: depth + 1)))
            skipBlanks()
            if take("}") { return .object(members) }
            guard take(",") else { throw failure("expected , or }") }
        }
    }
}

extension JSONParser {
    private static func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }

    private mutating func digits() -> Bool {
        guard Self.isDigit(next) else { return false }
        while Self.isDigit(next) { position += 1 }
        return true
    }

    private mutating func number() throws(Failure) -> JSONValue {
        let start = position
        _ = take("-")
        let integerStart = position
        guard digits() else { throw failure("not a JSON value") }
        guard bytes[integerStart] != UInt8(ascii: "0") || position == integerStart + 1 else {
            throw failure("a number has no leading zeros")
        }
        var isInteger = true
        if take(".") {
            isInteger = false
            guard digits() else { throw failure("expected a digit") }
        }
        if take("e") || take("E") {
            isInteger = false
            if !take("+") { _ = take("-") }
            guard digits() else { throw failure("expected a digit") }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        if isInteger, let value = UInt64(text) { return .unsigned(value) }
        guard let value = Double(text), value.isFinite else { throw failure("the number is out of range") }
        return .number(value)
    }

    private mutating func string() throws(Failure) -> String {
        position += 1
        var result: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: result, as: UTF8.self) else { throw failure("a string is not UTF-8") }
                return text
            case UInt8(ascii: "\\"): result.append(contentsOf: try escape())
            case 0..<0x20: throw failure("a control character in a string has to be written as \\n or \\u00NN")
            default: result.append(byte)
            }
        }
        throw failure("a string does not end")
    }

    private mutating func escape() throws(Failure) -> [UInt8] {
        guard let byte = next else { throw failure("a string does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            var unit = try hexadecimal()
            if (0xD800..<0xDC00).contains(unit) {
                guard take("\\"), take("u") else { throw failure("half a surrogate pair") }
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("half a surrogate pair") }
                unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(unit) else { throw failure("half a surrogate pair") }
            return Array(String(scalar).utf8)
        default: throw failure("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws(Failure) -> UInt32 {
        guard position + 4 <= bytes.count else { throw failure("expected four hexadecimal digits") }
        var value: UInt32 = 0
        for byte in bytes[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
        }
        position += 4
        return value
    }
}
