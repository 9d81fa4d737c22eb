import NIOCore
import QiWire

/// What the parser takes it writes again, and everything derived from it agrees. Input: the text.
enum SignatureFuzz {
    static func run(_ bytes: [UInt8]) throws {
        guard let signature = try? Signature(bytes: bytes) else { return }
        try FuzzFinding.expect(Array(signature.text.utf8) == bytes, "the text is not kept")
        let type = signature.type
        let written: Signature
        do { written = try Signature(type.signatureText) } catch {
            throw FuzzFinding("\(signature) is written as \(type.signatureText), which is no signature: \(error)")
        }
        try FuzzFinding.expect(written == signature, "\(signature) is written as \(written)")
        try FuzzFinding.expect(written.type.signatureText == written.text, "\(signature) changes each time: \(written)")
        if let size = type.fixedSize { try FuzzFinding.expect(size == type.minimumSize, "\(signature) has two sizes") }
        try FuzzFinding.expect(type.mayHoldObject == written.type.mayHoldObject, "\(signature)")
        try resolve(signature)
        try empty(type)
    }

    /// A peer's metaobject may declare it as a method's parameters.
    private static func resolve(_ signature: Signature) throws {
        var builder = MetaObjectBuilder()
        builder.addMethod("m", parameters: signature, returns: signature, uid: 100)
        builder.addMethod("m", parameters: "(s)", returns: "v", uid: 101)
        let object = builder.build()
        let count = signature.elements?.count ?? 1
        for argument in [QiValue.int32(1), .string("1"), .void, .list([])] {
            _ = try? OverloadResolution.resolve("m", arguments: Array(repeating: argument, count: min(count, 8)), in: object)
        }
        _ = try? OverloadResolution.resolve("m::\(signature.text)", arguments: [], in: object)
    }

    /// Zeros are the shortest value of every type.
    private static func empty(_ type: QiType) throws {
        guard type.minimumSize <= 4096 else { return }
        var zeros = ByteBuffer(repeating: 0, count: type.minimumSize)
        guard let value = try? zeros.readQi(type) else { return }
        try FuzzFinding.expect(zeros.readableBytes == 0, "\(type): \(zeros.readableBytes) of \(type.minimumSize) zeros are left")
        var buffer = ByteBuffer()
        try buffer.writeQi(value, as: type)
    }
}
