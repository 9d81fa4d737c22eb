import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Big raw bytes are a part of their own in the frame: what arrives is what would have arrived in one.
@Suite(.timeLimit(.minutes(8))) struct BigRawTests {
    private static let big = ByteBuffer(bytes: (0..<(1 << 17)).map { UInt8(truncatingIfNeeded: $0 &* 7) })

    @Test func theLastArgumentIsAPartOfItsOwn() throws {
        var arguments = MethodArguments(bytes: ByteBuffer(), takesValues: false)
        try arguments.append("x")
        try arguments.append(Self.big)
        #expect(arguments.tail == Self.big)
        var whole = arguments.bytes
        whole.writeImmutableBuffer(Self.big)
        #expect(try String(reading: &whole) == "x")
        #expect(try ByteBuffer(reading: &whole) == Self.big && whole.readableBytes == 0)
    }

    @Test func whatFollowsComesBehindIt() throws {
        var arguments = MethodArguments(bytes: ByteBuffer(), takesValues: false)
        try arguments.append(Self.big)
        try arguments.append(Self.big)
        try arguments.append("x")
        #expect(arguments.tail == nil)
        var whole = arguments.bytes
        #expect(try ByteBuffer(reading: &whole) == Self.big)
        #expect(try ByteBuffer(reading: &whole) == Self.big)
        #expect(try String(reading: &whole) == "x" && whole.readableBytes == 0)
    }

    @Test(arguments: [true, false]) func thereAndBack(isUnix: Bool) async throws {
        try await withFolder { folder in
            try await withDirectory(at: isUnix ? "unix:\(folder)/sd" : "tcp://127.0.0.1:0") { directory, endpoint in
                var builder = ObjectBuilder()
                builder.advertise(method: "swap", parameters: [.raw, .raw], returns: .raw) { call in
                    let first = try call.next(ByteBuffer.self)
                    _ = try call.next(ByteBuffer.self)
                    try call.reply(first)
                }
                _ = try await directory.register(builder, as: "Big")
                try await withSession(endpoint) { session in
                    let proxy = try await session.service("Big")
                    let swap = proxy.method("swap", parameters: [.raw, .raw], returns: .raw)
                    // The first go over the socket, while shared memory is being made.
                    for _ in 0..<4 {
                        let other = ByteBuffer(repeating: 9, count: 1 << 19)
                        let answer: ByteBuffer = try await proxy.invoke(swap) { (arguments) throws(WireError) in
                            try arguments.append(Self.big)
                            try arguments.append(other)
                        }
                        #expect(answer == Self.big)
                    }
                }
            }
        }
    }
}
