import Foundation
import NIOCore
import QiWire
import Testing

/// One entry of a recorded conversation (`Tests/QiWireTests/Vectors/README.md`).
struct RecordedEntry: Decodable, Sendable {
    var comment: String?
    var connection: Int?
    var direction: String?
    var tcp: String?
    var payloadSignature: String?
    var hex: String?
}

/// One request of `l_probes.json` with libqi's answers.
struct Probe: Decodable, Sendable {
    struct Received: Decodable, Sendable {
        var payloadSignature: String?
        var hex: String
    }
    var title: String
    var connection: Int
    var sent: [String]
    var received: [Received]
    var closed: Bool?
}

enum RecordedVectors {
    private static func load<Content: Decodable>(_ name: String, as: Content.Type) throws -> Content {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let url = tests.appendingPathComponent("QiWireTests/Vectors/\(name).json")
        return try JSONDecoder().decode(Content.self, from: Data(contentsOf: url))
    }

    static func conversation(_ name: String) throws -> [RecordedEntry] {
        struct File: Decodable { var messages: [RecordedEntry] }
        return try load(name, as: File.self).messages
    }

    static func probes() throws -> [Probe] {
        struct File: Decodable { var exchanges: [Probe] }
        return try load("l_probes", as: File.self).exchanges
    }
}

/// The bytes that hexadecimal digits name.
func bytes(_ hex: String) -> ByteBuffer {
    var buffer = ByteBuffer()
    let digits = hex.compactMap(\.hexDigitValue)
    for index in stride(from: 0, to: digits.count - 1, by: 2) {
        buffer.writeInteger(UInt8(digits[index] << 4 | digits[index + 1]))
    }
    return buffer
}

/// The one frame that hexadecimal digits name.
func frame(_ hex: String) throws -> Message {
    var decoder = MessageDecoder()
    decoder.append(bytes(hex))
    return try #require(try decoder.next())
}

extension QiValue {
    /// The value without dynamics, map entries and metaobject-like lists in an order of their own: for comparing what two
    /// implementations say.
    var canonical: QiValue {
        switch self {
        case .dynamic(let dynamic): dynamic.value.canonical
        case .list(let elements): .list(elements.map(\.canonical))
        case .tuple(let members): .tuple(members.map(\.canonical))
        case .map(let entries):
            .map(
                entries.map { QiMapEntry(key: $0.key.canonical, value: $0.value.canonical) }
                    .sorted { $0.key.rank < $1.key.rank })
        case .optional(let value): .optional(value?.canonical)
        default: self
        }
    }

    /// An order for keys, which are numbers or strings.
    private var rank: String {
        if let number = asInt { return String(number) }
        return asString ?? "\(self)"
    }
}
