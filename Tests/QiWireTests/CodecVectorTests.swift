import NIOCore
import QiWire
import Testing

/// Bytes that libqi wrote, decoded and written again.
@Suite struct CodecVectorTests {
    @Test func everyEntryOfTheCodecFile() throws {
        let vectors = try Vectors.codec()
        #expect(vectors.count == 262)
        for vector in vectors {
            let signature = try Signature(vector.signature)
            #expect(signature.text == vector.signature)
            #expect(signature.type.signatureText == vector.signature)
            try check(bytes(vector.hex), signature.type, .standard, vector.value, "\(vector.testDescription)")
            try checkTruncation(bytes(vector.hex), signature.type)
        }
    }

    @Test(arguments: Vectors.conversations)
    func everyFrameOfAConversation(_ name: String) throws {
        // What both ends advertised decides how objects are written.
        var capabilities: [String: Capabilities] = [:]
        for frame in try Vectors.frames(name) {
            let connection = try #require(frame.connection)
            let direction = try #require(frame.direction)
            let reverse = direction.split(separator: "->").reversed().joined(separator: "->")
            let message = try Vectors.message(try #require(frame.hex))
            #expect(message.frameHex == frame.hex)
            checkHeader(message.header, try #require(frame.header))
            #expect(message.kind.description == frame.type)

            let mine = capabilities["\(connection)\(direction)"] ?? Capabilities()
            let shared = mine.shared(with: capabilities["\(connection)\(reverse)"] ?? Capabilities())
            if let signature = frame.payloadSignature {
                try check(
                    message.payload, try Signature(signature).type, shared.objectCoding, frame.decoded ?? .null,
                    "\(name) \(message.address) \(signature.prefix(20))")
                try checkTypedForms(message.payload, signature, ofConnection: message.address.service == 0)
            } else {
                #expect(message.payload.readableBytes == 0)
            }
            if frame.payloadSignature == "{sm}", message.address.service == 0 {
                var payload = message.payload
                capabilities["\(connection)\(direction)"] = try Capabilities(reading: &payload)
            }
        }
        let coding = capabilities.keys.compactMap { key in
            key.hasSuffix("client->sd")
                ? capabilities[key]?.shared(with: capabilities[key.dropLast(10) + "sd->client"] ?? Capabilities()).objectCoding
                : nil
        }
        let expected = [
            "i_object_metaobject_cache": ObjectCoding(sharesObjectUID: true, sharesMetaObjectCache: true),
            "j_object_without_uid": .plain,
        ]
        #expect(coding.contains(expected[name] ?? .standard), "the recording is read with the coding it was made for")
    }

    @Test func everyAnswerToAProbe() throws {
        let probes = try Vectors.probes()
        #expect(probes.count >= 80)
        for frame in probes.flatMap(\.received) {
            let message = try Vectors.message(try #require(frame.hex))
            #expect(message.frameHex == frame.hex)
            #expect(message.kind.description == frame.type)
            guard let signature = frame.payloadSignature else { continue }
            try check(message.payload, try Signature(signature).type, .standard, frame.decoded ?? .null, signature)
            try checkTypedForms(message.payload, signature, ofConnection: message.address.service == 0)
        }
    }

    @Test func everyFrameOfAProbe() throws {
        for probe in try Vectors.probes() {
            for sent in probe.sent {
                if probe.title == "wrong magic" {
                    #expect(throws: WireError.self) { try Vectors.message(sent) }
                } else if bytes(sent).getInteger(at: 12, endianness: .little, as: UInt16.self) == 0 {
                    #expect(try Vectors.message(sent).frameHex == sent, "\(probe.title)")
                } else {
                    #expect(try Vectors.message(sent).header.version == 1, "\(probe.title)")
                }
            }
        }
    }

    // MARK: Checks

    private func check(
        _ payload: ByteBuffer, _ type: QiType, _ objects: ObjectCoding, _ expected: JSON, _ comment: String
    ) throws {
        var reading = payload
        let value = try reading.readQi(type, objects: objects)
        #expect(reading.readableBytes == 0, "\(comment)")
        #expect(JSON(value, type) == expected, "\(comment)")

        var written = ByteBuffer()
        try written.writeQi(value, as: type, objects: objects)
        #expect(hex(written) == hex(payload), "\(comment)")

        var skipping = payload
        #expect(try skipping.skipQi(type, objects: objects) == expected.holdsObject, "\(comment)")
        #expect(skipping.readableBytes == 0, "\(comment)")
    }

    /// Cut anywhere, bytes fail to read; they never trap.
    private func checkTruncation(_ payload: ByteBuffer, _ type: QiType) throws {
        for length in 0..<payload.readableBytes {
            var cut = try #require(payload.getSlice(at: payload.readerIndex, length: length))
            #expect(throws: WireError.self) { try cut.readQi(type) }
            #expect(cut.readableBytes == length, "a failed read moves nothing")
            var skipped = try #require(payload.getSlice(at: payload.readerIndex, length: length))
            #expect(throws: WireError.self) { _ = try skipped.skipQi(type) }
        }
    }

    /// Metaobjects and service infos also through their own types, and what is said of a connection as capabilities.
    private func checkTypedForms(_ payload: ByteBuffer, _ signature: String, ofConnection: Bool) throws {
        var reading = payload
        var written = ByteBuffer()
        switch signature {
        case MetaObject.signature.text:
            let metaObject = try MetaObject(reading: &reading)
            metaObject.write(to: &written)
            #expect(try MetaObject(qiValue: metaObject.qiValue) == metaObject)
        case ServiceInfo.signature.text:
            let info = try ServiceInfo(reading: &reading)
            try info.write(to: &written)
            #expect(try ServiceInfo(qiValue: info.qiValue) == info)
        case "[\(ServiceInfo.signature.text)]":
            try [ServiceInfo](reading: &reading).write(to: &written)
        case "{sm}":
            guard ofConnection else { return }
            let map = try Capabilities(reading: &reading)
            try map.write(to: &written)
            // The Python binding wraps credentials twice: what is in them counts.
            if !map.credentials.isEmpty {
                var again = written
                let second = try Capabilities(reading: &again)
                #expect(second == map && reading.readableBytes == 0)
                return
            }
        default: return
        }
        #expect(hex(written) == hex(payload))
        #expect(reading.readableBytes == 0)
    }

    private func checkHeader(_ header: MessageHeader, _ expected: [String: UInt32]) {
        #expect(header.id == expected["id"])
        #expect(header.payloadLength == expected["size"])
        #expect(UInt32(header.version) == expected["version"])
        #expect(UInt32(header.kind.rawValue) == expected["type"])
        #expect(UInt32(header.flags.rawValue) == expected["flags"])
        #expect(header.address.service == expected["service"])
        #expect(header.address.object == expected["object"])
        #expect(header.address.action == expected["action"])
    }
}
