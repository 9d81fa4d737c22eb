/// Bounds on what a peer can make us allocate while a value is read.
///
/// A value counts for the memory that it takes, one element for 16 bytes: a number one, a list or tuple its members and two, a string,
/// a dynamic or an object some more. What counts has to be earned by bytes: four elements a byte, and ``free`` before the first. So
/// values that take no bytes (`v`, `()`), which could be announced by the billion, are paid for by the bytes around them.
public struct CodingLimits: Hashable, Sendable {
    /// How deep containers and dynamics may nest, together.
    public var maximumDepth: Int
    /// How much one message may hold, in elements of 16 bytes of memory.
    public var maximumElements: Int

    /// Creates limits.
    public init(maximumDepth: Int = 64, maximumElements: Int = 8_388_608) {
        self.maximumDepth = maximumDepth
        self.maximumElements = maximumElements
    }

    /// 64 deep, 128 MiB of memory.
    public static let standard = CodingLimits()

    /// Elements that every value may hold, however short it is.
    static let free = 32
    /// Elements that one byte pays for: a list of tuples of one byte each takes that much.
    static let perByte = 4
}

/// What is left of the limits while one value is read or skipped.
struct CodingBudget {
    let objects: ObjectCoding
    private var depthLeft: Int
    private var spent = 0
    private let cap: Int
    /// Where the value begins in the buffer, and how far bytes are known to be there that it takes.
    private let start: Int
    private var earnedTo: Int

    /// - Parameter cap: an absolute bound on elements; nil when nothing is allocated, so that work has to be bounded only by the
    ///   bytes.
    init(objects: ObjectCoding, depth: Int, cap: Int?, start: Int) {
        self.objects = objects
        depthLeft = depth
        self.cap = cap ?? .max
        self.start = start
        earnedTo = start
    }

    mutating func descend() throws(WireError) {
        depthLeft -= 1
        if depthLeft < 0 { throw WireError(.limit, "a value nested too deep") }
    }

    mutating func ascend() { depthLeft += 1 }

    /// Counts elements of a value that takes the bytes before `end`, all of which are there. Bytes that may belong to other values
    /// earn nothing: a list of values that are read one by one would else be paid for once for each of them.
    mutating func spend(_ elements: Int, upTo end: Int) throws(WireError) {
        if end > earnedTo { earnedTo = end }
        spent += elements
        let earned = (earnedTo - start) * CodingLimits.perByte + CodingLimits.free
        if spent > earned || spent > cap { throw WireError(.limit, "a value with too many elements") }
    }
}
