import NIOCore
import NIOPosix
import QiMessaging
import QiWire
import Synchronization

@testable import QiMeshTesting

/// Calls, events and one long reply on one connection at the same time, looked at frame by frame: each comes once, and in order.
struct StreamTraffic {
    /// How many calls, and as many events.
    var calls: UInt32
    /// Calls in flight.
    var inFlight: UInt32 = 200
    /// Bytes of the long reply.
    var reply = 4 << 20

    /// Its name in the directory.
    private static let name = "Traffic"

    /// Numbers in the order in which the service was called with them.
    private final class Served: Sendable {
        private let numbers = Mutex<[UInt32]>([])
        func add(_ number: UInt32) { numbers.withLock { $0.append(number) } }
        var all: [UInt32] { numbers.withLock { $0 } }
    }

    private static func object(_ served: Served) -> ObjectBuilder {
        var builder = ObjectBuilder()
        // Not queued: what is queued begins in order, and runs beside one another.
        builder.advertiseMethod("number", "(I)", returns: "I", callType: .direct) { arguments, _ in
            if case .uint32(let number) = arguments[0] { served.add(number) }
            return arguments[0]
        }
        builder.advertiseMethod("block", "(I)", returns: "r") { arguments, _ in
            guard case .uint32(let count) = arguments[0] else { throw QiError(.invalid, "no number") }
            return .raw(block(Int(count)))
        }
        builder.advertiseSignal("tick", "(I)")
        return builder
    }

    /// Bytes that are different at every place.
    private static func block(_ count: Int) -> ByteBuffer {
        ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
    }

    /// Runs it over a transport with a directory and a service of its own.
    ///
    /// - Throws: ``ConformanceFailure`` that says what was not as it has to be.
    func run(over address: String, _ transport: any Transport) async throws {
        guard let endpoint = Endpoint(address) else { throw ConformanceFailure("\(address) is no endpoint") }
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: PathTransport.quiet)
        do {
            let directory = try await DirectoryServer.make(on: loop, machineID: "traffic")
            let listener = try await directory.listen(at: endpoint, transport: transport, zone: .internal)
            let served = Served()
            let hosted = try await directory.register(Self.object(served), as: Self.name)
            let raw = try await RawPeer.connect(to: listener.endpoint, tls: TLSOptions(), transport: transport)
            try await exchange(raw, hosted, served)
            try await raw.close()
            await listener.close()
        } catch {
            await loop.shutDown()
            throw error
        }
        await loop.shutDown()
    }

    private func exchange(_ raw: RawPeer, _ hosted: HostedObject, _ served: Served) async throws {
        let (id, metaObject) = try await raw.find(Self.name)
        let target = ObjectAddress(service: id, object: 1)
        func method(_ name: String) throws -> UInt32 {
            guard let method = metaObject.methods.first(where: { $0.name == name }) else { throw ConformanceFailure("no method \(name)") }
            return method.uid
        }
        let (number, long) = (try method("number"), try method("block"))
        guard let signal = metaObject.signals.first(where: { $0.name == "tick" })?.uid else { throw ConformanceFailure("no signal") }
        func call(_ id: UInt32, _ action: UInt32, _ argument: UInt32) {
            var payload = ByteBuffer()
            payload.writeQiUInt32(argument)
            raw.write(Message(kind: .call, id: id, address: ActionAddress(target, action: action), payload: payload))
        }
        var payload = ByteBuffer()
        payload.writeQiUInt32(1)
        payload.writeQiUInt32(signal)
        payload.writeInteger(UInt64(7), endianness: .little)
        let subscribed = try await raw.call(
            Message(kind: .call, id: 90, address: ActionAddress(target, action: WellKnownActions.registerEvent), payload: payload))
        try TransportConformance.expect(subscribed.kind == .reply, "the subscription was answered with \(subscribed.kind)")

        let (first, longID) = (UInt32(1000), UInt32(91))
        call(longID, long, UInt32(reply))
        var next = UInt32(0)
        while next < min(inFlight, calls) {
            call(first + next, number, next)
            next += 1
        }
        var (answered, events, isLongHere) = (Set<UInt32>(), UInt32(0), false)
        while answered.count < calls || events < calls || !isLongHere {
            guard var message = await raw.next() else {
                throw ConformanceFailure("closed after \(answered.count) answers and \(events) events")
            }
            switch message.kind {
            case .reply where message.id == longID:
                try TransportConformance.expect(!isLongHere, "the long reply came twice")
                isLongHere = true
                let bytes = try message.payload.readQi(.raw)
                try TransportConformance.expect(bytes == .raw(Self.block(reply)), "the long reply is not what was sent")
            case .reply:
                let value = try message.payload.readQiUInt32()
                try TransportConformance.expect(value == message.id - first, "call \(message.id - first) was answered with \(value)")
                try TransportConformance.expect(answered.insert(value).inserted, "call \(value) was answered twice")
                // As many events as answers, each with its number.
                try hosted.emit("tick", [.uint32(UInt32(answered.count - 1))])
                if next < calls {
                    call(first + next, number, next)
                    next += 1
                }
            case .event:
                let value = try message.payload.readQiUInt32()
                try TransportConformance.expect(value == events, "event \(value) came instead of \(events)")
                events += 1
            default: throw ConformanceFailure("a \(message.kind) came to \(message.id)")
            }
        }
        let all = served.all
        try TransportConformance.expect(all.count == calls, "the service was called \(all.count) times")
        if let place = all.indices.first(where: { all[$0] != $0 }) {
            throw ConformanceFailure("the service was called with \(all[place]) instead of \(place)")
        }
    }
}
