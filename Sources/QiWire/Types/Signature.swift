/// A signature: the exact text, annotations included, and the type it describes (reference §6).
///
/// Text is at most 64 KiB and types nest at most 64 deep. Two signatures are equal when their types are: annotations do not
/// count.
public struct Signature: Sendable {
    /// The longest text accepted, in bytes.
    public static let maximumLength = 65_536
    /// The deepest nesting accepted.
    public static let maximumDepth = 64

    /// The text as received or given.
    public let text: String
    /// The type that the text describes.
    public let type: QiType

    /// Parses one element, for example `{s(ii)<Point,x,y>}`.
    ///
    /// Applied to a literal, Swift prefers `init(stringLiteral:)`, which does not throw.
    ///
    /// - Throws: `WireError.Code.signature` for text outside the grammar, `.limit` for text too long or nested too deep.
    public init(_ text: String) throws(WireError) {
        var parser = try SignatureParser(Array(text.utf8))
        self.init(text: text, type: try parser.parseWhole())
    }

    /// Parses one element given as bytes, which have to be UTF-8.
    ///
    /// - Throws: as `init(_:)`.
    public init(bytes: some Sequence<UInt8>) throws(WireError) {
        let bytes = Array(bytes)
        if bytes.count == 1, let known = Signature.scalar(bytes[0]) {
            self = known
            return
        }
        var parser = try SignatureParser(bytes)
        let type = try parser.parseWhole()
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw WireError(.signature, "a signature has to be UTF-8")
        }
        self.init(text: text, type: type)
    }

    /// The signature of a type, spelled with the annotations of its tuples.
    public init(_ type: QiType) {
        self.init(text: type.signatureText, type: type)
    }

    init(text: String, type: QiType) {
        self.text = text
        self.type = type
    }

    /// The empty text that marks a dynamic without a value (reference §7).
    public static let empty = Signature(text: "", type: .none)
    /// `v`.
    public static let void = Signature(text: "v", type: .void)
    /// `m`.
    public static let dynamic = Signature(text: "m", type: .dynamic)
    /// `s`.
    public static let string = Signature(text: "s", type: .string)

    /// The members of a tuple as types; nil when this is no tuple.
    public var elements: [QiType]? { type.tupleMembers }

    /// The known signatures of one character; a table because nearly every dynamic has one.
    static func scalar(_ character: UInt8) -> Signature? {
        scalars[Int(character)]
    }

    private static let scalars: [Signature?] = {
        var table = [Signature?](repeating: nil, count: 256)
        for (character, type) in SignatureParser.scalarTypes {
            table[Int(character)] = Signature(text: String(Character(Unicode.Scalar(character))), type: type)
        }
        return table
    }()
}

extension Signature: Hashable {
    /// Compares types.
    public static func == (left: Signature, right: Signature) -> Bool { left.type == right.type }

    /// Hashes the type.
    public func hash(into hasher: inout Hasher) { hasher.combine(type) }
}

extension Signature: CustomStringConvertible, ExpressibleByStringLiteral {
    /// The text.
    public var description: String { text }

    /// Parses a constant of our own source; a wrong one is a bug of ours and traps.
    public init(stringLiteral value: String) {
        do {
            try self.init(value)
        } catch {
            preconditionFailure("wrong signature constant \(value): \(error)")
        }
    }
}
