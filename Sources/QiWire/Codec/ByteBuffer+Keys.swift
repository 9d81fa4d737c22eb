public import NIOCore

extension ByteBuffer {
    /// Reads the first argument of a call, when that is a number or a text, be it within dynamics, and nothing of what follows: however
    /// long that is, and whatever it holds.
    ///
    /// - Parameter parameters: of the method, a tuple; with DynamicPayload the arguments come as the dynamic says.
    /// - Returns: the number or text.
    /// - Throws: `.conversion` when there is no such argument, `.limit` for a text longer than `maximumKeyBytes`, else as `readQi`.
    public mutating func readFirstQiKey(_ parameters: Signature?, flags: MessageFlags) throws(WireError) -> QiValue {
        let type = flags.contains(.dynamicPayload) ? try readInnermostQiType() : parameters?.type ?? .void
        switch type {
        case .tuple(let tuple):
            guard let first = tuple.members.first else { break }
            return try readQiKey(first)
        case .list(let element), .varargs(let element):
            guard try readQiUInt32() > 0 else { break }
            return try readQiKey(element)
        default: break
        }
        throw WireError(.conversion, "the first argument is missing")
    }

    /// The longest text that is taken for a key, in bytes.
    public static var maximumKeyBytes: Int { 4096 }

    private mutating func readQiKey(_ declared: QiType) throws(WireError) -> QiValue {
        let type = declared == .dynamic ? try readInnermostQiType() : declared
        if type == .string, let length = getInteger(at: readerIndex, endianness: .little, as: UInt32.self), length > Self.maximumKeyBytes {
            throw WireError(.limit, "a name of \(length) bytes, where \(Self.maximumKeyBytes) are allowed")
        }
        guard type == .string || type.isInteger else {
            throw WireError(.conversion, "the first argument is neither a number nor a text")
        }
        return try readQi(type)
    }

    /// The type of what is in a dynamic, or in dynamics within it.
    private mutating func readInnermostQiType() throws(WireError) -> QiType {
        for _ in 0..<CodingLimits.standard.maximumDepth {
            let type = try readQiSignature().type
            if type != .dynamic { return type }
        }
        throw WireError(.limit, "a value nested too deep")
    }
}
