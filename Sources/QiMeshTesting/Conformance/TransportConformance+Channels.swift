import NIOCore
import QiMessaging
import QiWire

/// The cases that look at the channel: one side is a peer that writes its frames itself.
extension TransportConformance {
    private struct Target {
        let address: ObjectAddress
        let methods: [String: UInt32]

        func call(_ method: String, id: UInt32, _ payload: ByteBuffer = ByteBuffer()) throws -> Message {
            guard let action = methods[method] else { throw ConformanceFailure("no method \(method)") }
            return Message(kind: .call, id: id, address: ActionAddress(address, action: action), payload: payload)
        }
    }

    private static func target(_ raw: RawPeer) async throws -> Target {
        let (id, metaObject) = try await raw.find(ConformanceService.name)
        return Target(
            address: ObjectAddress(service: id, object: 1),
            methods: Dictionary(metaObject.methods.map { ($0.name, $0.uid) }, uniquingKeysWith: { first, _ in first }))
    }

    private static func expectHealthy(_ peers: ConformancePeers) async throws {
        let value = try await peers.bystander.call("served", arguments: [], deadline: .seconds(30))
        guard case .int32 = value else { throw ConformanceFailure("another client got \(value)") }
    }

    @Sendable static func halfClose(_ peers: ConformancePeers) async throws {
        let raw = try await peers.raw()
        let target = try await target(raw)
        raw.write(try target.call("wait", id: 10))
        try await peers.service.until { waiting, _ in waiting == 1 }
        try await raw.closeOutput()
        while await raw.next() != nil {}
        try await peers.service.until { waiting, cancelled in waiting == 0 && cancelled == 1 }
        try await expectHealthy(peers)
    }

    @Sendable static func vanishes(_ peers: ConformancePeers) async throws {
        let raw = try await peers.raw()
        let target = try await target(raw)
        for id in UInt32(10)..<20 { raw.write(try target.call("wait", id: id)) }
        try await peers.service.until { waiting, _ in waiting == 10 }
        try await raw.close()
        try await peers.service.until { waiting, cancelled in waiting == 0 && cancelled == 10 }
        try await expectHealthy(peers)
    }

    /// More than all buffers between the two sides take.
    private static let flood = (calls: 96, bytes: 256 << 10)

    @Sendable static func backPressure(_ peers: ConformancePeers) async throws {
        let raw = try await peers.raw()
        let target = try await target(raw)
        try await raw.setReading(false)
        var payload = ByteBuffer()
        payload.writeQiUInt32(UInt32(flood.bytes))
        payload.writeRepeatingByte(7, count: flood.bytes)
        // One call after the other, until one is not served any more: not over many round trips of another client.
        var written = 0
        var still = 0
        while written < flood.calls, still < 50 {
            raw.write(try target.call("echo", id: UInt32(100 + written), payload))
            written += 1
            still = 0
            while peers.service.served < written, still < 50 {
                try await expectHealthy(peers)
                still += 1
            }
        }
        try expect(still == 50, "all calls of a peer were served that reads no answer")
        try await raw.setReading(true)
        var answered: Set<UInt32> = []
        while answered.count < written {
            guard let answer = await raw.next() else { throw ConformanceFailure("closed after \(answered.count) answers") }
            try expect(answer.kind == .reply && answer.payload.readableBytes == payload.readableBytes, "a bad answer to \(answer.id)")
            answered.insert(answer.id)
        }
        try await raw.close()
    }

    @Sendable static func oversize(_ peers: ConformancePeers) async throws {
        let raw = try await peers.raw()
        var header = ByteBuffer()
        header.writeMessageHeader(
            MessageHeader(id: 9, payloadLength: 50_000_001, kind: .call, address: ActionAddress(.serviceDirectory, action: 100)))
        // A transport that knows messages refuses it before it leaves.
        _ = try? await raw.send(header)
        let answer = await raw.next()
        try expect(answer == nil, "a frame of 50 000 001 bytes was answered")
        try await expectHealthy(peers)
    }
}
