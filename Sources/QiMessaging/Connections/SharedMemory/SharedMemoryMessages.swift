import NIOCore
import QiWire

/// What two ends of a connection say to each other about shared memory. Posts to service 0, object 0, sent only when both have
/// announced ``capability``; whoever does not know them drops them.
enum SharedMemoryMessages {
    /// Announced on unix sockets between processes of one user.
    static let capability = Capabilities.Name.sharedMemory

    /// A segment was made: take it under that name.
    static let offer: UInt32 = 0x514D_0001
    /// It was mapped, or will not be.
    static let answer: UInt32 = 0x514D_0002
    /// A slot was read and may be written again.
    static let release: UInt32 = 0x514D_0003

    /// Where the payload of a frame lies; takes its place in the frame, whose flags say so.
    struct Place: Equatable {
        var segment: UInt32
        var offset: UInt32
        var length: UInt32

        static let encodedLength = 12

        func encoded() -> ByteBuffer {
            var buffer = ByteBuffer()
            buffer.writeMultipleIntegers(segment, offset, length, endianness: .little)
            return buffer
        }

        init(segment: UInt32, offset: UInt32, length: UInt32) {
            self.segment = segment
            self.offset = offset
            self.length = length
        }

        init?(_ payload: ByteBuffer) {
            var payload = payload
            guard payload.readableBytes == Self.encodedLength,
                let (segment, offset, length) = payload.readMultipleIntegers(endianness: .little, as: (UInt32, UInt32, UInt32).self)
            else { return nil }
            self.init(segment: segment, offset: offset, length: length)
        }
    }

    static func numbers(_ first: UInt32, _ second: UInt32) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(first, second, endianness: .little)
        return buffer
    }

    static func readNumbers(_ payload: inout ByteBuffer) throws(WireError) -> (UInt32, UInt32) {
        (try payload.readQiUInt32(), try payload.readQiUInt32())
    }
}

extension MessageFlags {
    /// The payload is a ``SharedMemoryMessages/Place``. Of this project: libqi uses bits 0 and 1.
    static let sharedMemory = MessageFlags(rawValue: 0x80)
}
