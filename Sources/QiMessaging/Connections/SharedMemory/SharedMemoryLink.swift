import Glibc
import Logging
import NIOCore
import QiWire

/// The shared memory of one connection, both directions: big payloads that we send are written to slots of our segments, those of
/// the peer are copied out of its. Confined to the bus loop.
///
/// Everything here is an offer: what cannot be made, passed, mapped or is full goes over the socket. A peer that lies loses its
/// connection.
final class SharedMemoryLink {
    private let threshold: Int
    private let maximumPayload: Int
    private(set) var isShared = false

    private var pool = SharedMemoryPool()
    private var ours: [Int: SharedSegment] = [:]
    private var theirs: [UInt32: SharedSegment] = [:]
    /// Segments of the peer that are on their way.
    private var coming: Set<UInt32> = []
    private var theirBytes = 0
    /// The payload that came last. Its storage is used again when nobody else holds it any more: fresh pages cost as much as the copy.
    private var last = ByteBuffer()
    private static let mostKept = 4 << 20
    /// Payloads that went this way: for tests and measurements.
    private(set) var payloadsSent = 0
    private(set) var payloadsReceived = 0

    /// What a peer may make us map.
    private static let maximumSegments: UInt32 = 8
    private static let maximumMapped = 128 << 20

    init(limits: ConnectionLimits) {
        threshold = limits.sharedMemoryThreshold
        maximumPayload = limits.maximumPayload
    }

    /// What we can do, on a unix socket to a process of our own user; everywhere else only the usual.
    static func capabilities(_ origin: ConnectionOrigin, limits: ConnectionLimits) -> Capabilities {
        var capabilities = Capabilities.ours
        if origin.user == getuid(), limits.sharedMemoryThreshold < .max {
            capabilities[SharedMemoryMessages.capability] = QiDynamic(.bool(true))
        }
        return capabilities
    }

    /// The peer's capabilities are known.
    func opened(_ remote: Capabilities) { isShared = remote.isEnabled(SharedMemoryMessages.capability) }

    // MARK: - Sending

    /// Writes a payload to a slot, if it is big enough and there is one.
    ///
    /// - Returns: what to send in its place, with the flag ``MessageFlags/sharedMemory``; nil to send it as it is.
    func place(_ payload: ByteBuffer, tail: ByteBuffer? = nil, on connection: Connection) -> ByteBuffer? {
        let length = payload.readableBytes + (tail?.readableBytes ?? 0)
        guard isShared, length >= threshold else { return nil }
        switch pool.payload(of: length) {
        case .socket: return nil
        case .make(let segment):
            make(segment, on: connection)
            return nil
        case .use(let segment, let offset):
            guard let memory = ours[segment] else { return nil }
            memory.write(payload, at: offset)
            if let tail { memory.write(tail, at: offset + payload.readableBytes) }
            payloadsSent += 1
            return SharedMemoryMessages.Place(segment: UInt32(segment), offset: UInt32(offset), length: UInt32(length)).encoded()
        }
    }

    private func make(_ segment: Int, on connection: Connection) {
        let shape = SharedMemoryPool.shapes[segment]
        do throws(QiError) {
            let (memory, descriptor) = try SharedSegment.make(size: shape.size)
            ours[segment] = memory
            let name = SharedMemoryExchange.newName()
            let loop = connection.channel.eventLoop
            SharedMemoryExchange.give(descriptor, as: name, on: loop).assumeIsolated().whenComplete { [weak self] result in
                guard let self else { return }
                switch result {
                case .success: offer(segment, shape.size, name, on: connection)
                case .failure(let error): unavailable(segment, error, on: connection)
                }
            }
        } catch {
            unavailable(segment, error, on: connection)
        }
    }

    private func offer(_ segment: Int, _ size: Int, _ name: String, on connection: Connection) {
        var payload = SharedMemoryMessages.numbers(UInt32(segment), UInt32(size))
        payload.writeQiString(QiString(name))
        say(SharedMemoryMessages.offer, payload, on: connection)
        connection.bus.executor.scheduleDrain()
    }

    private func unavailable(_ segment: Int, _ error: any Error, on connection: Connection) {
        pool.failed(segment)
        ours[segment] = nil
        connection.logger.debug("shared memory is not used", metadata: [LogKeys.error: "\(error)"])
    }

    private func say(_ action: UInt32, _ payload: ByteBuffer, on connection: Connection) {
        connection.post(ActionAddress(.connection, action: action), payload)
    }

    // MARK: - Receiving

    /// The message with the payload that its frame only points to. One memcpy: the peer may write again at any time, and whoever
    /// reads the payload must not see it change.
    func resolve(_ message: Message, on connection: Connection) throws(WireError) -> Message {
        guard isShared, message.flags.contains(.sharedMemory) else { return message }
        guard let place = SharedMemoryMessages.Place(message.payload), let memory = theirs[place.segment] else {
            throw WireError(.frame, "a payload is said to lie in shared memory that is not there")
        }
        guard Int(place.offset) + Int(place.length) <= memory.size else {
            throw WireError(.frame, "a payload is said to lie beyond the end of shared memory")
        }
        guard place.length <= maximumPayload else {
            throw WireError(.limit, "a payload of \(place.length) bytes was announced; \(maximumPayload) are allowed")
        }
        let payload = copied(UnsafeRawBufferPointer(start: memory.base + Int(place.offset), count: Int(place.length)))
        payloadsReceived += 1
        say(SharedMemoryMessages.release, SharedMemoryMessages.numbers(place.segment, place.offset), on: connection)
        var header = message.header
        header.payloadLength = place.length
        header.flags.remove(.sharedMemory)
        return Message(header: header, payload: payload)
    }

    private func copied(_ bytes: UnsafeRawBufferPointer) -> ByteBuffer {
        guard bytes.count <= Self.mostKept else { return ByteBuffer(bytes: bytes) }
        // A short one would keep all of it for as long as its call is in work.
        if last.storageCapacity > 2 * bytes.count { last = ByteBuffer() }
        last.clear(minimumCapacity: bytes.count)
        last.writeBytes(bytes)
        return last
    }

    /// A Post to service 0, object 0.
    func received(_ message: Message, on connection: Connection) {
        guard isShared else { return }
        var payload = message.payload
        do throws(WireError) {
            switch message.address.action {
            case SharedMemoryMessages.offer:
                let (segment, size) = try SharedMemoryMessages.readNumbers(&payload)
                try offered(segment, Int(size), try payload.readQiString().lossyText, on: connection)
            case SharedMemoryMessages.answer:
                let (segment, accepted) = try SharedMemoryMessages.readNumbers(&payload)
                guard pool.answered(Int(segment), accepted: accepted == 1) else {
                    throw WireError(.value, "an answer to shared memory that was not offered")
                }
                if accepted != 1 { ours[Int(segment)] = nil }
            case SharedMemoryMessages.release:
                let (segment, offset) = try SharedMemoryMessages.readNumbers(&payload)
                guard pool.released(Int(segment), offset: Int(offset)) else {
                    throw WireError(.value, "shared memory was released that was not in use")
                }
            default: break
            }
        } catch {
            connection.close(.invalid("the peer lies about shared memory: \(error.message)"))
        }
    }

    private func offered(_ segment: UInt32, _ size: Int, _ name: String, on connection: Connection) throws(WireError) {
        guard segment < Self.maximumSegments, theirs[segment] == nil, !coming.contains(segment), size > 0,
            theirBytes + size <= Self.maximumMapped, name.hasPrefix(SharedMemoryExchange.namePrefix), name.utf8.count <= 64
        else { throw WireError(.value, "segment \(segment) of \(size) bytes cannot be taken") }
        coming.insert(segment)
        theirBytes += size
        let loop = connection.channel.eventLoop
        SharedMemoryExchange.take(name, size: size, on: loop).assumeIsolated().whenComplete { [weak self] result in
            guard let self else {
                if case .success(let descriptor) = result { Glibc.close(descriptor) }
                return
            }
            taken(segment, size, result, on: connection)
        }
    }

    private func taken(_ segment: UInt32, _ size: Int, _ result: Result<Int32, any Error>, on connection: Connection) {
        coming.remove(segment)
        switch result {
        case .success(let descriptor): theirs[segment] = SharedSegment(reading: descriptor, size: size)
        case .failure(let error):
            connection.logger.debug("shared memory was not taken", metadata: [LogKeys.error: "\(error)"])
        }
        let isMapped = theirs[segment] != nil
        if !isMapped { theirBytes -= size }
        say(SharedMemoryMessages.answer, SharedMemoryMessages.numbers(segment, isMapped ? 1 : 0), on: connection)
        connection.bus.executor.scheduleDrain()
    }

    /// The connection has ended: nobody uses the memory any more.
    func ended() {
        isShared = false
        ours = [:]
        theirs = [:]
        last = ByteBuffer()
    }
}
