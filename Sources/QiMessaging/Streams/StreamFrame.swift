import NIOCore

/// Names one device stream: 16 random bytes, chosen by the side that opened it and told to the other side alone.
struct StreamID: Hashable, CustomStringConvertible {
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    static func random() -> Self { StreamID(high: .random(in: .min ... .max), low: .random(in: .min ... .max)) }

    /// The first half, in hexadecimal: enough to tell streams apart in a log, and too little to resume one.
    var description: String {
        let digits = String(high, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// The first frame of the side that opens a path.
struct StreamHello: Equatable {
    enum Purpose: UInt8 {
        /// A new stream.
        case open = 0
        /// A stream that both sides know goes on, on this path.
        case resume = 1
    }

    var purpose: Purpose
    var stream: StreamID
    /// Of the opener's process: a stream of an earlier one is dead.
    var instance: UInt64
    /// Numbered frames of the peer that the opener has.
    var received: UInt64
    /// Bytes of numbered frames that the opener takes without having confirmed them.
    var window: UInt32
}

/// The answer to a hello.
struct StreamWelcome: Equatable {
    var stream: StreamID
    /// Numbered frames of the opener that the answerer has; what the opener sends on this path begins after them.
    var received: UInt64
    /// The number of the first frame that the answerer sends on this path: what the hello asked for, or a later one that the opener has
    /// confirmed since on the path before.
    var first: UInt64
    /// Bytes of numbered frames that the answerer takes without having confirmed them.
    var window: UInt32
}

/// Why a hello is not welcome.
struct StreamRefusal: Equatable, Error {
    enum Reason: UInt8 {
        /// No stream of that name is known here: the process that knew it has ended, or gave it up.
        case unknown = 0
        /// It is not allowed, or against the rules.
        case denied = 1
        /// There is no room for another one.
        case full = 2
    }

    var reason: Reason
    /// For people; at most 512 bytes.
    var text: String
}

/// What travels on a path of a device stream. Every frame is a type (one byte), the length of what follows (three bytes, big-endian) and
/// that: integers are big-endian. Frames of the numbered kinds count from 0 in each direction and survive their path; the others concern
/// one path, or are of use at once only.
enum StreamFrame: Equatable {
    case hello(StreamHello)
    case welcome(StreamWelcome)
    case refused(StreamRefusal)
    case numbered(StreamNumbered)
    /// Numbered frames that were received, and whose messages were taken by the receiver's owner.
    case confirm(UInt64)
    case ping(UInt64)
    case pong(UInt64)
}

/// A frame that is kept until it is confirmed.
enum StreamNumbered: Equatable {
    /// One message.
    case whole(StreamBytes)
    /// The first piece of a message, which is so long altogether.
    case begin(UInt32, length: UInt32, StreamBytes)
    /// A later piece.
    case more(UInt32, StreamBytes)
    /// The rest of a message does not come: it was withdrawn.
    case drop(UInt32)
    /// The last frame: the stream ends in good order.
    case end(String)

    /// Bytes that it takes of the receiver's window.
    var cost: Int {
        switch self {
        case .whole(let bytes): bytes.count + StreamFrameCoding.header
        case .begin(_, _, let bytes), .more(_, let bytes): bytes.count + StreamFrameCoding.header + 8
        case .drop, .end: StreamFrameCoding.header + 4
        }
    }
}
