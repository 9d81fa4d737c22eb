import NIOCore

/// Walks over values without building them and notes whether it met an object reference, and where the objects are if that is wanted.
struct ValueSkipper {
    var buffer: ByteBuffer
    var budget: CodingBudget
    var foundObject = false
    /// The addresses of the objects, null references left out; nil where they are not wanted.
    var addresses: [ObjectAddress]?

    mutating func skip(_ type: QiType) throws(WireError) {
        switch type {
        case .bool: try flag("a bool")
        case .string: try advance(Int(try buffer.readQiUInt32()))
        case .raw: try advance(Int(try buffer.readQiUInt32()))
        case .unknown, .keywordArguments: throw ValueReader.untransportable(type)
        case .list, .varargs, .map, .tuple, .optional, .dynamic, .object:
            try budget.descend()
            try skipComposite(type)
            budget.ascend()
        default: try advance(type.minimumSize)
        }
    }

    private mutating func skipComposite(_ type: QiType) throws(WireError) {
        switch type {
        case .list(let element), .varargs(let element): try repeated(element, nil)
        case .map(let key, let value): try repeated(key, value)
        case .tuple(let tuple):
            guard tuple.minimumSize <= buffer.readableBytes else { throw .truncated("a tuple") }
            try budget.spend(tuple.members.count, upTo: buffer.readerIndex + tuple.minimumSize)
            for member in tuple.members { try skip(member) }
        case .optional(let element):
            if try flag("an optional") { try skip(element) }
        case .dynamic:
            try skip(try buffer.readQiSignature().type)
        default: try object()
        }
    }

    private mutating func repeated(_ first: QiType, _ second: QiType?) throws(WireError) {
        let count = Int(try buffer.readQiUInt32())
        let size = first.minimumSize + (second?.minimumSize ?? 0)
        let (needed, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow, needed <= buffer.readableBytes else { throw .truncated("a container of \(count) elements") }
        // Pixels and samples are stepped over at once; bools among them are left to whoever reads them.
        if let firstSize = first.fixedSize, let secondSize = second == nil ? 0 : second?.fixedSize {
            return try advance(count * (firstSize + secondSize))
        }
        try budget.spend(count, upTo: buffer.readerIndex + needed)
        for _ in 0..<count {
            try skip(first)
            if let second { try skip(second) }
        }
    }

    private mutating func object() throws(WireError) {
        foundObject = true
        if budget.objects.sharesMetaObjectCache {
            if try flag("an object's metaobject flag") { try skip(MetaObject.signature.type) }
            try advance(4)
        } else {
            try skip(MetaObject.signature.type)
        }
        let (service, object) = (try buffer.readQiUInt32(), try buffer.readQiUInt32())
        if object != 0 { addresses?.append(ObjectAddress(service: service, object: object)) }
        if budget.objects.sharesObjectUID { try advance(ObjectUID.length) }
    }

    @discardableResult
    private mutating func flag(_ what: String) throws(WireError) -> Bool {
        switch buffer.readInteger(as: UInt8.self) {
        case 0: return false
        case 1: return true
        case nil: throw .truncated(what)
        case let byte?: throw WireError(.value, "Expected 0 or 1 for \(what), got \(byte)")
        }
    }

    private mutating func advance(_ count: Int) throws(WireError) {
        guard count <= buffer.readableBytes else { throw .truncated("a value") }
        buffer.moveReaderIndex(forwardBy: count)
    }
}
