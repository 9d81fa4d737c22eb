/// A recursive-descent parser of signatures (reference §6), bounded in length and depth.
///
///     element = type [ "<" text ">" ]      text: anything balanced in ()[]{}<>, except NUL
struct SignatureParser {
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    init(_ bytes: [UInt8]) throws(WireError) {
        guard bytes.count <= Signature.maximumLength else {
            throw WireError(.limit, "a signature of \(bytes.count) bytes; \(Signature.maximumLength) are allowed")
        }
        self.bytes = bytes
    }

    static let scalarTypes: [(UInt8, QiType)] = [
        (UInt8(ascii: "v"), .void), (UInt8(ascii: "b"), .bool), (UInt8(ascii: "c"), .int8), (UInt8(ascii: "C"), .uint8),
        (UInt8(ascii: "w"), .int16), (UInt8(ascii: "W"), .uint16), (UInt8(ascii: "i"), .int32), (UInt8(ascii: "I"), .uint32),
        (UInt8(ascii: "l"), .int64), (UInt8(ascii: "L"), .uint64), (UInt8(ascii: "f"), .float), (UInt8(ascii: "d"), .double),
        (UInt8(ascii: "s"), .string), (UInt8(ascii: "r"), .raw), (UInt8(ascii: "m"), .dynamic), (UInt8(ascii: "o"), .object),
        (UInt8(ascii: "X"), .unknown), (UInt8(ascii: "_"), .none),
    ]

    /// Exactly one element and nothing behind it.
    mutating func parseWhole() throws(WireError) -> QiType {
        let type = try parseElement()
        guard position == bytes.count else { throw invalid("characters follow the type") }
        return type
    }

    /// Elements up to the end of the text.
    mutating func parseAll() throws(WireError) -> [QiType] {
        var types: [QiType] = []
        while position < bytes.count { types.append(try parseElement()) }
        return types
    }

    private mutating func parseElement() throws(WireError) -> QiType {
        guard position < bytes.count else { throw invalid("a type is missing") }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Signature.maximumDepth else {
            throw WireError(.limit, "a signature nested deeper than \(Signature.maximumDepth)")
        }
        let character = bytes[position]
        position += 1
        let type = try parseType(character)
        // A prefix has taken the annotation as part of its element.
        if isPrefix(character) { return type }
        guard position < bytes.count, bytes[position] == UInt8(ascii: "<") else { return type }
        let annotation = try parseAnnotation()
        guard case .tuple(let tuple) = type else { return type }
        return .tuple(TupleType(tuple.members, name: annotation.first ?? "", memberNames: Array(annotation.dropFirst())))
    }

    private func isPrefix(_ character: UInt8) -> Bool {
        character == UInt8(ascii: "+") || character == UInt8(ascii: "#") || character == UInt8(ascii: "~")
    }

    private mutating func parseType(_ character: UInt8) throws(WireError) -> QiType {
        switch character {
        case UInt8(ascii: "["):
            let element = try parseElement()
            try expect(UInt8(ascii: "]"))
            return .list(element)
        case UInt8(ascii: "{"):
            let key = try parseElement()
            let value = try parseElement()
            try expect(UInt8(ascii: "}"))
            return .map(key: key, value: value)
        case UInt8(ascii: "("):
            return .tuple(TupleType(try parseMembers()))
        case UInt8(ascii: "+"): return .optional(try parseElement())
        case UInt8(ascii: "#"): return .varargs(try parseElement())
        case UInt8(ascii: "~"): return .keywordArguments(try parseElement())
        default:
            guard let scalar = Signature.scalar(character) else {
                position -= 1
                throw invalid("an unknown type")
            }
            return scalar.type
        }
    }

    private mutating func parseMembers() throws(WireError) -> [QiType] {
        var members: [QiType] = []
        while position < bytes.count, bytes[position] != UInt8(ascii: ")") {
            members.append(try parseElement())
        }
        try expect(UInt8(ascii: ")"))
        return members
    }

    /// The parts of an annotation between its outer commas.
    private mutating func parseAnnotation() throws(WireError) -> [String] {
        var parts: [String] = []
        var open: [UInt8] = []
        var start = position + 1
        repeat {
            guard position < bytes.count, bytes[position] != 0 else { throw invalid("an annotation without end") }
            let character = bytes[position]
            switch character {
            case UInt8(ascii: "<"): open.append(UInt8(ascii: ">"))
            case UInt8(ascii: "("): open.append(UInt8(ascii: ")"))
            case UInt8(ascii: "["): open.append(UInt8(ascii: "]"))
            case UInt8(ascii: "{"): open.append(UInt8(ascii: "}"))
            case UInt8(ascii: ">"), UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
                guard open.popLast() == character else { throw invalid("an unbalanced annotation") }
            default: break
            }
            if open.isEmpty || (open.count == 1 && character == UInt8(ascii: ",")) {
                parts.append(String(decoding: bytes[start..<position], as: UTF8.self))
                start = position + 1
            }
            position += 1
        } while !open.isEmpty
        return parts
    }

    private mutating func expect(_ character: UInt8) throws(WireError) {
        guard position < bytes.count, bytes[position] == character else {
            throw invalid("'\(Character(Unicode.Scalar(character)))' is missing")
        }
        position += 1
    }

    @inline(never)
    private func invalid(_ what: String) -> WireError {
        let shown = String(decoding: bytes.prefix(80), as: UTF8.self)
        return WireError(.signature, "Invalid signature \(shown): \(what) at byte \(position)")
    }
}
