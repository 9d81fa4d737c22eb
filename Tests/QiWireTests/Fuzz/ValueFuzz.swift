import NIOCore
import QiWire

/// Reading, skipping, writing and converting agree about every payload.
///
/// Input: a signature and a second one, each behind its length; the object coding, one byte; the payload.
enum ValueFuzz {
    /// Small, so that one input cannot take a second.
    private static let limits = CodingLimits(maximumElements: 16_384)

    static func run(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let text = input.shortBytes(limit: 48)
        let other = input.shortBytes(limit: 48)
        let flags = input.byte()
        let objects = ObjectCoding(sharesObjectUID: flags & 1 != 0, sharesMetaObjectCache: flags & 2 != 0)
        let payload = input.remaining()
        guard let type = try? Signature(bytes: text).type else { return }
        let target = (try? Signature(bytes: other).type) ?? .dynamic
        guard let value = try read(payload, type, objects) else { return }
        try convert(value, from: type, to: target, objects)
        readAsPeersDo(payload, Signature(type), Signature(target), MessageFlags(rawValue: flags >> 2), objects)
    }

    private static func read(_ payload: ByteBuffer, _ type: QiType, _ objects: ObjectCoding) throws -> QiValue? {
        var reading = payload
        var skipping = payload
        let skipped = try? skipping.skipQi(type, objects: objects, limits: limits)
        let value: QiValue
        do throws(WireError) {
            value = try reading.readQi(type, objects: objects, limits: limits)
        } catch {
            try FuzzFinding.expect(reading == payload && reading.readerIndex == payload.readerIndex, "a failed read moved")
            return nil
        }
        guard let hasObject = skipped else { throw FuzzFinding("\(type) was read and cannot be skipped") }
        try FuzzFinding.expect(skipping.readerIndex == reading.readerIndex, "\(type): read and skip end at different places")
        guard let consumed = payload.getSlice(at: payload.readerIndex, length: reading.readerIndex - payload.readerIndex) else {
            throw FuzzFinding("read beyond the end")
        }
        let written = try write(value, type, objects)
        // Metaobjects are repaired when read, so only what was repaired once is stable.
        if !hasObject { try FuzzFinding.expect(written == consumed, "\(type): written differently from what was read") }
        var again = written
        let second = try again.readQi(type, objects: objects, limits: limits)
        try FuzzFinding.expect(try write(second, type, objects) == written, "\(type): unstable")
        return value
    }

    private static func write(_ value: QiValue, _ type: QiType, _ objects: ObjectCoding) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        try buffer.writeQi(value, as: type, objects: objects)
        return buffer
    }

    /// What can be converted can be sent as what it became.
    private static func convert(_ value: QiValue, from type: QiType, to target: QiType, _ objects: ObjectCoding) throws {
        for target in [target, .dynamic, .string, .list(.dynamic), .map(key: .string, value: .dynamic), .optional(.int32)] {
            guard let converted = try? value.converted(from: type, to: target) else { continue }
            do throws(WireError) {
                var buffer = ByteBuffer()
                try buffer.writeQi(converted, as: target, objects: objects)
            } catch {
                throw FuzzFinding("\(type) was converted to \(target) and cannot be written: \(error)")
            }
        }
        _ = value.inferredType
        _ = try? MetaObject(qiValue: value)
        _ = try? ServiceInfo(qiValue: value)
        _ = try? [String: Int](qiValue: value)
        _ = try? [Double](qiValue: value)
    }

    /// The entry points of messages. What they throw is an answer to a peer; that they return is all that is asked.
    private static func readAsPeersDo(
        _ payload: ByteBuffer, _ signature: Signature, _ returns: Signature, _ flags: MessageFlags, _ objects: ObjectCoding
    ) {
        var copy = payload
        if let call = try? copy.readQiArguments(signature, flags: flags, objects: objects, limits: limits) {
            _ = try? call.arguments.converted(to: returns)
        }
        copy = payload
        _ = try? copy.readQiReturn(returns, flags: flags, objects: objects, limits: limits)
        copy = payload
        _ = copy.readErrorPayload()
        copy = payload
        _ = try? MetaObject(reading: &copy)
        copy = payload
        _ = try? Capabilities(reading: &copy)
    }
}
