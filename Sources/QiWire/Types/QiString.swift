public import NIOCore

/// A string of the wire: bytes that are normally, but not necessarily, UTF-8 (reference §7).
///
/// Compared byte by byte, without Unicode's equivalences.
public struct QiString: Sendable {
    private enum Storage: Sendable {
        case text(String)
        /// Never valid UTF-8.
        case bytes([UInt8])
    }
    private var storage: Storage

    /// A string of text.
    public init(_ text: String) { storage = .text(text) }

    /// A string of any bytes.
    public init(bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        if let text = String(validating: bytes, as: UTF8.self) {
            storage = .text(text)
        } else {
            storage = .bytes(bytes)
        }
    }

    /// The text, nil when the bytes are not UTF-8.
    public var text: String? {
        if case .text(let text) = storage { text } else { nil }
    }

    /// The text, with U+FFFD for what is not UTF-8. For people only: it does not encode back.
    public var lossyText: String {
        switch storage {
        case .text(let text): text
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        }
    }

    /// The bytes.
    public var bytes: [UInt8] {
        switch storage {
        case .text(let text): Array(text.utf8)
        case .bytes(let bytes): bytes
        }
    }

    /// The bytes as a buffer.
    public var byteBuffer: ByteBuffer {
        switch storage {
        case .text(let text): ByteBuffer(string: text)
        case .bytes(let bytes): ByteBuffer(bytes: bytes)
        }
    }

    /// The number of bytes.
    public var count: Int {
        switch storage {
        case .text(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        }
    }

    /// Whether there are no bytes.
    public var isEmpty: Bool { count == 0 }
}

extension QiString: Hashable {
    /// Compares bytes.
    public static func == (left: QiString, right: QiString) -> Bool {
        switch (left.storage, right.storage) {
        case (.text(let left), .text(let right)): left.utf8.elementsEqual(right.utf8)
        case (.bytes(let left), .bytes(let right)): left == right
        default: false
        }
    }

    /// Hashes so that equal bytes hash equally.
    public func hash(into hasher: inout Hasher) {
        switch storage {
        // Coarser than ==, for a String hashes its canonical form; that is allowed, and fast.
        case .text(let text): hasher.combine(text)
        case .bytes(let bytes): hasher.combine(bytes)
        }
    }
}

extension QiString: ExpressibleByStringLiteral, CustomStringConvertible {
    /// A string of text.
    public init(stringLiteral value: String) { self.init(value) }

    /// `lossyText`.
    public var description: String { lossyText }
}

extension ByteBuffer {
    /// Reads a string: 32-bit length, bytes.
    ///
    /// - Throws: `WireError.Code.truncated` when the bytes end before the string does.
    public mutating func readQiString() throws(WireError) -> QiString {
        guard var bytes = readLengthPrefixedQiBytes() else { throw .truncated("a string") }
        return bytes.readWholeQiString()
    }

    /// Reads raw bytes: 32-bit length, bytes. The result is a slice that shares this buffer's storage.
    ///
    /// - Throws: `WireError.Code.truncated` when the bytes end too early.
    public mutating func readQiRaw() throws(WireError) -> ByteBuffer {
        guard let bytes = readLengthPrefixedQiBytes() else { throw .truncated("raw bytes") }
        return bytes
    }

    /// Writes a string: 32-bit length, bytes.
    public mutating func writeQiString(_ string: QiString) {
        if let text = string.text {
            writeQiString(text)
        } else {
            let bytes = string.bytes
            writeInteger(UInt32(truncatingIfNeeded: bytes.count), endianness: .little)
            writeBytes(bytes)
        }
    }

    /// Writes a text: 32-bit length, UTF-8.
    public mutating func writeQiString(_ text: String) {
        writeInteger(UInt32(truncatingIfNeeded: text.utf8.count), endianness: .little)
        writeString(text)
    }

    /// Writes raw bytes: 32-bit length, bytes.
    public mutating func writeQiRaw(_ bytes: ByteBuffer) {
        writeInteger(UInt32(truncatingIfNeeded: bytes.readableBytes), endianness: .little)
        writeImmutableBuffer(bytes)
    }

    @usableFromInline
    mutating func readLengthPrefixedQiBytes() -> ByteBuffer? {
        guard let length = getInteger(at: readerIndex, endianness: .little, as: UInt32.self),
            Int(length) <= readableBytes - 4
        else { return nil }
        moveReaderIndex(forwardBy: 4)
        return readSlice(length: Int(length))
    }

    private mutating func readWholeQiString() -> QiString {
        withUnsafeReadableBytes { String(validQiText: $0) }.map { QiString($0) } ?? QiString(bytes: readableBytesView)
    }

    /// Reads a text without another copy of its bytes; nil, and moves nothing, when they are not UTF-8.
    ///
    /// - Throws: `.truncated` when the bytes end before the string does.
    @usableFromInline
    mutating func readQiText() throws(WireError) -> String? {
        guard let length = getInteger(at: readerIndex, endianness: .little, as: UInt32.self), Int(length) <= readableBytes - 4
        else { throw .truncated("a string") }
        let end = 4 + Int(length)
        guard let text = withUnsafeReadableBytes({ String(validQiText: UnsafeRawBufferPointer(rebasing: $0[4..<end])) }) else { return nil }
        moveReaderIndex(forwardBy: end)
        return text
    }
}

extension String {
    /// One validated copy of the bytes; nil when they are not UTF-8.
    fileprivate init?(validQiText bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else {
            self = ""
            return
        }
        let span = bytes.bindMemory(to: UInt8.self).span
        guard let text = try? UTF8Span(validating: span) else { return nil }
        self = String(copying: text)
    }
}
