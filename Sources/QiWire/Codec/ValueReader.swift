import NIOCore

/// Reads values against types. Recursive, bounded by its budget.
struct ValueReader {
    var buffer: ByteBuffer
    var budget: CodingBudget

    mutating func read(_ type: QiType) throws(WireError) -> QiValue {
        switch type {
        case .void, .none: return .void
        case .bool: return .bool(try flag("a bool"))
        case .int8: return .int8(try integer())
        case .uint8: return .uint8(try integer())
        case .int16: return .int16(try integer())
        case .uint16: return .uint16(try integer())
        case .int32: return .int32(try integer())
        case .uint32: return .uint32(try integer())
        case .int64: return .int64(try integer())
        case .uint64: return .uint64(try integer())
        case .float: return .float(Float(bitPattern: try integer()))
        case .double: return .double(Double(bitPattern: try integer()))
        case .string: return try string()
        case .raw: return try raw()
        case .unknown, .keywordArguments: throw ValueReader.untransportable(type)
        case .list, .varargs, .map, .tuple, .optional, .dynamic, .object:
            try budget.descend()
            let value = try readComposite(type)
            budget.ascend()
            return value
        }
    }

    private mutating func readComposite(_ type: QiType) throws(WireError) -> QiValue {
        switch type {
        case .list(let element), .varargs(let element): return .list(try list(of: element))
        case .map(let key, let value): return .map(try map(key: key, value: value))
        case .tuple(let tuple): return .tuple(try members(of: tuple))
        case .optional(let element): return try optional(element)
        case .dynamic: return .dynamic(try dynamic())
        default: return .object(try object())
        }
    }

    private mutating func integer<Integer: FixedWidthInteger>() throws(WireError) -> Integer {
        guard let value = buffer.readInteger(endianness: .little, as: Integer.self) else { throw .truncated("a number") }
        return value
    }

    private mutating func flag(_ what: String) throws(WireError) -> Bool {
        switch try integer() as UInt8 {
        case 0: return false
        case 1: return true
        case let byte: throw WireError(.value, "Expected 0 or 1 for \(what), got \(byte)")
        }
    }

    // What is empty shares one value, and takes no memory of its own.
    private static let noText = QiValue.string(QiString(""))
    private static let noBytes = QiValue.raw(ByteBuffer())
    private static let absent = QiValue.optional(nil)

    /// Counts the memory of a value beside its place in its container.
    private mutating func spend(_ elements: Int) throws(WireError) { try budget.spend(elements, upTo: buffer.readerIndex) }

    private mutating func string() throws(WireError) -> QiValue {
        let string = try buffer.readQiString()
        guard !string.isEmpty else { return Self.noText }
        try spend(2)
        return .string(string)
    }

    /// Shares the message's storage, unless a few bytes would keep much of it in memory for as long as they are kept.
    private mutating func raw() throws(WireError) -> QiValue {
        let bytes = try buffer.readQiRaw()
        guard bytes.readableBytes > 0 else { return Self.noBytes }
        try spend(4)
        return .raw(bytes.readableBytes * 4 < bytes.storageCapacity ? ByteBuffer(buffer: bytes) : bytes)
    }

    private mutating func optional(_ element: QiType) throws(WireError) -> QiValue {
        guard try flag("an optional") else { return Self.absent }
        try spend(3)
        return .optional(try read(element))
    }

    /// A count, checked against the bytes that are left before anything is allocated for it.
    private mutating func count(elementSize: Int, nodes: Int) throws(WireError) -> Int {
        let count = Int(try integer() as UInt32)
        let (needed, overflow) = count.multipliedReportingOverflow(by: elementSize)
        guard !overflow, needed <= buffer.readableBytes else { throw .truncated("a container of \(count) elements") }
        if count > 0 { try budget.spend(2 + count * nodes, upTo: buffer.readerIndex + needed) }
        return count
    }

    private mutating func list(of element: QiType) throws(WireError) -> [QiValue] {
        let count = try count(elementSize: element.minimumSize, nodes: 1)
        var elements: [QiValue] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try read(element)) }
        return elements
    }

    private mutating func map(key: QiType, value: QiType) throws(WireError) -> [QiMapEntry] {
        let count = try count(elementSize: key.minimumSize + value.minimumSize, nodes: 2)
        var entries: [QiMapEntry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count { entries.append(QiMapEntry(key: try read(key), value: try read(value))) }
        return entries
    }

    private mutating func members(of tuple: TupleType) throws(WireError) -> [QiValue] {
        guard tuple.minimumSize <= buffer.readableBytes else { throw .truncated("a tuple") }
        guard !tuple.members.isEmpty else { return [] }
        try budget.spend(2 + tuple.members.count, upTo: buffer.readerIndex + tuple.minimumSize)
        var members: [QiValue] = []
        members.reserveCapacity(tuple.members.count)
        for member in tuple.members { members.append(try read(member)) }
        return members
    }

    private mutating func dynamic() throws(WireError) -> QiDynamic {
        let signature = try buffer.readQiSignature()
        // A type of its own takes 48 bytes for each character at the most.
        let length = signature.text.utf8.count
        try spend(length > 1 ? 4 + 3 * length : 4)
        return QiDynamic(signature: signature, value: try read(signature.type))
    }

    private mutating func object() throws(WireError) -> ObjectReference {
        let start = buffer.readerIndex
        var metaObject: MetaObject?
        var cacheID: UInt32?
        if budget.objects.sharesMetaObjectCache {
            if try flag("an object's metaobject flag") { metaObject = try MetaObject(reading: &buffer) }
            let id: UInt32 = try integer()
            cacheID = id == ObjectReference.uncached ? nil : id
        } else {
            metaObject = try MetaObject(reading: &buffer)
        }
        let service: UInt32 = try integer()
        let object: UInt32 = try integer()
        if metaObject == nil, cacheID == nil {
            guard object == 0 else {
                throw WireError(.value, "an object reference has neither a metaobject nor the number of a cached one")
            }
            metaObject = .empty
        }
        let uid = budget.objects.sharesObjectUID ? try buffer.readObjectUID() : nil
        // Members of a metaobject take four times their bytes at the most.
        try spend(8 + (buffer.readerIndex - start) / 4)
        return ObjectReference(metaObject: metaObject, cacheID: cacheID, serviceID: service, objectID: object, uid: uid)
    }

    @inline(never)
    static func untransportable(_ type: QiType) -> WireError {
        WireError(.signature, "Cannot find a type to deserialize signature \(type.shownText)")
    }
}

extension ObjectReference {
    /// The cache id that means "not cached" (reference §17).
    static let uncached = UInt32.max
}

extension ByteBuffer {
    /// Reads a dynamic's signature; empty text is the dynamic without a value.
    mutating func readQiSignature() throws(WireError) -> Signature {
        // Nearly every dynamic has a signature of one character.
        if let head: (length: UInt32, character: UInt8) = getMultipleQiSignatureHead(), head.length == 1,
            let signature = Signature.scalar(head.character)
        {
            moveReaderIndex(forwardBy: 5)
            return signature
        }
        guard let bytes = readLengthPrefixedQiBytes() else { throw .truncated("a signature") }
        return bytes.readableBytes == 0 ? .empty : try Signature(bytes: bytes.readableBytesView)
    }

    private func getMultipleQiSignatureHead() -> (UInt32, UInt8)? {
        guard let length = getInteger(at: readerIndex, endianness: .little, as: UInt32.self),
            let character = getInteger(at: readerIndex + 4, as: UInt8.self)
        else { return nil }
        return (length, character)
    }

    mutating func readObjectUID() throws(WireError) -> ObjectUID {
        guard let first = readInteger(as: UInt64.self), let second = readInteger(as: UInt64.self),
            let third = readInteger(as: UInt32.self)
        else { throw .truncated("an object's uid") }
        return ObjectUID(first: first, second: second, third: third)
    }
}
