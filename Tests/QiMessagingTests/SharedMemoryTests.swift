import CQiSystem
import Glibc
import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Testing

@Suite(.timeLimit(.minutes(8)))
struct SharedMemoryTests {
    private static let capabilities: Capabilities = {
        var capabilities = Capabilities.ours
        capabilities[SharedMemoryMessages.capability] = QiDynamic(.bool(true))
        return capabilities
    }()

    private var echo: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("echo", "(r)", returns: "r") { arguments, _ in arguments[0] }
        return builder
    }

    private struct Counts: Equatable {
        var sent = 0
        var received = 0
    }

    /// Frames between the two ends of one connection that went through shared memory, as the directory's side counts them.
    private func counts(_ directory: DirectoryServer) async throws -> Counts {
        let core = directory.directory
        let links = try await directory.loop.run { (_) async throws(QiError) in
            core.value.connections.values.compactMap { $0.sharedMemory.map { [$0.payloadsSent, $0.payloadsReceived] } }
        }
        return links.reduce(into: Counts()) { ($0.sent, $0.received) = ($0.sent + $1[0], $0.received + $1[1]) }
    }

    private func bytes(_ count: Int, _ seed: Int) -> ByteBuffer {
        let block = (0..<1024).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed &+ $0 / 256) }
        var buffer = ByteBuffer()
        while buffer.readableBytes < count { buffer.writeBytes(block) }
        return buffer
    }

    @Test func bigPayloadsGoThroughItAndSmallOnesDoNot() async throws {
        try await withFolder { folder in
            try await withDirectory(at: "unix:\(folder)/socket") { directory, endpoint in
                _ = try await directory.register(echo, as: "Echo")
                try await withSession(endpoint) { session in
                    let service = try await session.service("Echo")
                    for round in 0..<20 {
                        let sent = QiValue.raw(bytes(1 << 19, round))
                        #expect(try await service.call("echo", arguments: [sent]) == sent)
                    }
                    let big = try await counts(directory)
                    // The first ones of each direction went over the socket, while the segment was on its way.
                    #expect(big.received > 0 && big.sent > 0 && big.received < 20 && big.sent < 20, "\(big)")
                    for _ in 0..<5 { _ = try await service.call("echo", arguments: [.raw(bytes(1 << 17, 1))]) }
                    #expect(try await counts(directory) == big)
                }
            }
        }
    }

    @Test func everySizeClassAndMoreThanAllSlots() async throws {
        try await withFolder { folder in
            try await withDirectory(at: "unix:\(folder)/socket") { directory, endpoint in
                _ = try await directory.register(echo, as: "Echo")
                try await withSession(endpoint) { session in
                    let service = try await session.service("Echo")
                    for size in [1 << 18, 1 << 20, 3 << 20, 10 << 20, 20 << 20, 1 << 18, 3 << 20, 10 << 20] {
                        let sent = QiValue.raw(bytes(size, size >> 18))
                        #expect(try await service.call("echo", arguments: [sent], deadline: .seconds(30)) == sent)
                    }
                    try await withThrowingTaskGroup(of: Bool.self) { group in
                        for number in 0..<40 {
                            group.addTask {
                                let sent = QiValue.raw(bytes(number % 2 == 0 ? 1 << 18 : 1 << 12, number))
                                return try await service.call("echo", arguments: [sent], deadline: .seconds(30)) == sent
                            }
                        }
                        for try await isRight in group { #expect(isRight) }
                    }
                    let all = try await counts(directory)
                    #expect(all.received > 10 && all.sent > 10, "\(all)")
                }
            }
        }
    }

    @Test func itIsOfferedOnUnixSocketsOnly() async throws {
        try await withDirectory { directory, endpoint in
            _ = try await directory.register(echo, as: "Echo")
            try await withSession(endpoint) { session in
                let sent = QiValue.raw(bytes(1 << 20, 1))
                let service = try await session.service("Echo")
                for _ in 0..<3 { #expect(try await service.call("echo", arguments: [sent]) == sent) }
                #expect(try await counts(directory) == Counts())
            }
        }
        // And can be turned off.
        var limits = ConnectionLimits()
        limits.sharedMemoryThreshold = .max
        try await withFolder { folder in
            try await withDirectory(at: "unix:\(folder)/socket", limits: limits) { directory, endpoint in
                _ = try await directory.register(echo, as: "Echo")
                try await withSession(endpoint) { session in
                    let sent = QiValue.raw(bytes(1 << 20, 1))
                    let service = try await session.service("Echo")
                    for _ in 0..<3 { #expect(try await service.call("echo", arguments: [sent]) == sent) }
                    #expect(try await counts(directory) == Counts())
                }
            }
        }
    }

    // MARK: - Peers that lie

    /// A directory with an honest client, and a peer that writes its frames itself and says that it can share memory.
    private func withLiar(_ body: @Sendable (RawClient, DirectoryServer) async throws -> Void) async throws {
        try await withFolder { folder in
            try await withDirectory(at: "unix:\(folder)/socket") { directory, endpoint in
                _ = try await directory.register(echo, as: "Echo")
                try await withClient(endpoint) { bystander in
                    let liar = try await RawClient(endpoint)
                    try await liar.authenticate(Self.capabilities)
                    try await body(liar, directory)
                    try await liar.close()
                    try await bystander.expectAlive()
                }
            }
        }
    }

    private static func say(_ action: UInt32, _ first: UInt32, _ second: UInt32, _ name: String? = nil) -> Message {
        var payload = SharedMemoryMessages.numbers(first, second)
        if let name { payload.writeQiString(QiString(name)) }
        return Message(kind: .post, id: 99, address: ActionAddress(.connection, action: action), payload: payload)
    }

    /// A call whose payload lies in shared memory, as its frame says.
    private static func placed(_ segment: UInt32, _ offset: UInt32, _ length: UInt32, id: UInt32 = 50) -> Message {
        Message(
            kind: .call, id: id, address: ActionAddress(.serviceDirectory, action: WellKnownActions.service), flags: .sharedMemory,
            payload: SharedMemoryMessages.Place(segment: segment, offset: offset, length: length).encoded())
    }

    /// Offers a descriptor as the other side expects it, and answers what it says to that.
    private static func offer(
        _ descriptor: Int32, segment: UInt32 = 0, size: Int, to directory: DirectoryServer, from liar: RawClient
    ) async throws -> (UInt32, UInt32) {
        let name = SharedMemoryExchange.newName()
        try await SharedMemoryExchange.give(descriptor, as: name, on: MultiThreadedEventLoopGroup.singleton.next()).get()
        try await liar.send(say(SharedMemoryMessages.offer, segment, UInt32(size), name))
        var answer = try #require(await liar.next())
        #expect(answer.address == ActionAddress(.connection, action: SharedMemoryMessages.answer))
        return try SharedMemoryMessages.readNumbers(&answer.payload)
    }

    private static func memory(_ size: Int, seals: Int32) throws -> Int32 {
        let descriptor = qimesh_memfd("test")
        try #require(descriptor >= 0 && ftruncate(descriptor, size) == 0)
        if seals != 0 { try #require(qimesh_add_seals(descriptor, seals) == 0) }
        return descriptor
    }

    private static let sealed = QIMESH_F_SEAL_SHRINK | QIMESH_F_SEAL_GROW | QIMESH_F_SEAL_SEAL

    @Test(arguments: [
        ("a payload in a segment that is not there", placed(0, 0, 100)),
        ("a release of what is not ours", say(SharedMemoryMessages.release, 0, 0)),
        ("an answer to nothing", say(SharedMemoryMessages.answer, 2, 1)),
        ("an answer without end", say(SharedMemoryMessages.answer, .max, 1)),
        ("a segment too big", say(SharedMemoryMessages.offer, 0, 1 << 31, "qimesh-shm-x")),
        ("a segment of nothing", say(SharedMemoryMessages.offer, 0, 0, "qimesh-shm-x")),
        ("a segment number too high", say(SharedMemoryMessages.offer, 8, 4096, "qimesh-shm-x")),
        ("somebody else's socket", say(SharedMemoryMessages.offer, 0, 4096, "/run/user/other")),
        ("a message cut short", Message(kind: .post, id: 1, address: ActionAddress(.connection, action: SharedMemoryMessages.offer))),
        (
            "a place cut short",
            Message(kind: .call, id: 1, address: ActionAddress(.serviceDirectory, action: 100), flags: .sharedMemory, payload: ByteBuffer(bytes: [0, 0]))
        ),
    ])
    func whoLiesIsClosed(_ what: String, _ lie: Message) async throws {
        try await withLiar { liar, _ in
            try await liar.send(lie)
            await liar.expectClosed()
        }
    }

    @Test func onlySealedMemoryOfTheSizeThatWasSaidIsMapped() async throws {
        try await withLiar { liar, directory in
            #expect(try await Self.offer(Self.memory(4096, seals: 0), size: 4096, to: directory, from: liar) == (0, 0))
            let shrinkable = QIMESH_F_SEAL_GROW | QIMESH_F_SEAL_SEAL
            #expect(try await Self.offer(Self.memory(4096, seals: shrinkable), size: 4096, to: directory, from: liar) == (0, 0))
            #expect(try await Self.offer(Self.memory(4096, seals: Self.sealed), size: 8192, to: directory, from: liar) == (0, 0))
            let file = open("/dev/zero", O_RDONLY)
            #expect(try await Self.offer(file, size: 4096, to: directory, from: liar) == (0, 0))
            // Nobody listens there.
            try await liar.send(Self.say(SharedMemoryMessages.offer, 0, 4096, SharedMemoryExchange.newName()))
            var answer = try #require(await liar.next())
            #expect(try SharedMemoryMessages.readNumbers(&answer.payload) == (0, 0))
            #expect(try await Self.offer(Self.memory(4096, seals: Self.sealed), size: 4096, to: directory, from: liar) == (0, 1))
            try await liar.expectAlive()
        }
    }

    /// What the peer writes after it has sent a frame changes nothing that we have read, and what lies beyond the end is not read.
    @Test func placesAreCheckedAndCopied() async throws {
        try await withLiar { liar, directory in
            let descriptor = try Self.memory(4096, seals: 0)
            let base = try #require(mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
            #expect(base != MAP_FAILED)
            defer { munmap(base, 4096) }
            try #require(qimesh_add_seals(descriptor, Self.sealed) == 0)
            #expect(try await Self.offer(descriptor, size: 4096, to: directory, from: liar) == (0, 1))

            var name = ByteBuffer()
            name.writeQiString("Echo")
            name.withUnsafeReadableBytes { base.advanced(by: 96).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(base), byteCount: $0.count) }
            try await liar.send(Self.placed(0, 96, UInt32(name.readableBytes)))
            var isReleased = false
            var isAnswered = false
            while !isReleased || !isAnswered {
                var message = try #require(await liar.next())
                if message.kind == .reply {
                    isAnswered = true
                    #expect(try ServiceInfo(qiValue: message.value(ServiceInfo.signature)).name == "Echo")
                } else {
                    #expect(try SharedMemoryMessages.readNumbers(&message.payload) == (0, 96))
                    isReleased = true
                }
            }
            // A length that lies about what is inside is the decoder's to judge, as on a socket.
            name.setInteger(UInt32.max, at: 0, endianness: .little)
            name.withUnsafeReadableBytes { base.advanced(by: 96).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(base), byteCount: $0.count) }
            try await liar.send(Self.placed(0, 96, 8, id: 51))
            while let message = await liar.next(), message.kind != .error { #expect(message.kind == .post) }
            try await liar.expectAlive()
            try await liar.send(Self.placed(0, 4000, 97))
            await liar.expectClosed()
        }
    }

    /// The flag means nothing between peers that have not agreed on it.
    @Test func theFlagOfAStrangerIsIgnored() async throws {
        try await withFolder { folder in
            try await withDirectory(at: "unix:\(folder)/socket") { _, endpoint in
                try await withClient(endpoint) { client in
                    let call = Message(
                        kind: .call, id: 5, address: ActionAddress(.serviceDirectory, action: WellKnownActions.machineID), flags: .sharedMemory)
                    #expect(try await client.call(call).kind == .reply)
                    try await client.send(Self.say(SharedMemoryMessages.release, 0, 0))
                    try await client.expectAlive()
                }
            }
        }
    }

    @Test func memoryIsGivenBack() throws {
        // More than the process may have, one after the other.
        for _ in 0..<40 {
            let (segment, descriptor) = try SharedSegment.make(size: 16 << 20)
            #expect(SharedSegment.isSafe(descriptor, size: 16 << 20))
            #expect(!SharedSegment.isSafe(descriptor, size: 16 << 20 - 1))
            #expect(ftruncate(descriptor, 4096) != 0)
            close(descriptor)
            #expect(segment.size == 16 << 20)
        }
    }
}
