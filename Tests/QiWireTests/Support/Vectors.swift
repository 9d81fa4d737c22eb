import Foundation
import NIOCore
import QiWire
import Testing

/// One entry of `codec.json`.
struct CodecVector: Decodable, Sendable, CustomTestStringConvertible {
    var signature: String
    var value: JSON
    var hex: String
    var testDescription: String { "\(signature.prefix(40)) \(hex.prefix(40))" }
}

/// One recorded frame, of a conversation or received in a probe.
struct RecordedFrame: Decodable, Sendable {
    var connection: Int?
    var direction: String?
    var type: String?
    var header: [String: UInt32]?
    var payloadSignature: String?
    var decoded: JSON?
    var hex: String?
}

struct Probe: Decodable, Sendable {
    var title: String
    var connection: Int
    var sent: [String]
    var received: [RecordedFrame]
    var closed: Bool?
}

/// The recorded vectors (`Vectors/README.md`).
enum Vectors {
    static let conversations = [
        "a1_handshake_services", "a2_host_and_client", "b_types", "c_signals_properties", "d_error_cancel_post", "e_objects",
        "f_unregister_disconnect", "g_shared_socket", "h_statistics", "i_object_metaobject_cache",
        "j_object_without_uid", "k_auth_credentials",
    ]

    private static func load<Content: Decodable>(_ name: String, as: Content.Type) throws -> Content {
        let url = try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
        return try JSONDecoder().decode(Content.self, from: Data(contentsOf: url))
    }

    static func codec() throws -> [CodecVector] {
        struct File: Decodable { var entries: [CodecVector] }
        return try load("codec", as: File.self).entries
    }

    /// The frames of a conversation, in order of arrival.
    static func frames(_ name: String) throws -> [RecordedFrame] {
        struct File: Decodable { var messages: [RecordedFrame] }
        return try load(name, as: File.self).messages.filter { $0.hex != nil }
    }

    static func probes() throws -> [Probe] {
        struct File: Decodable { var exchanges: [Probe] }
        return try load("l_probes", as: File.self).exchanges
    }

    static func message(_ hex: String) throws -> Message {
        var decoder = MessageDecoder()
        decoder.append(bytes(hex))
        let message = try #require(try decoder.next())
        #expect(!decoder.isWithinFrame)
        return message
    }
}

extension Message {
    /// The frame's bytes as hexadecimal digits.
    var frameHex: String {
        var buffer = ByteBuffer()
        buffer.writeMessage(self)
        return hex(buffer)
    }
}
