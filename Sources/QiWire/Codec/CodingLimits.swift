/// Bounds on what a peer can make us allocate while a value is read.
///
/// Counts are checked against the bytes that are left before anything is allocated; these limits hold beyond that.
public struct CodingLimits: Hashable, Sendable {
    /// How deep containers and dynamics may nest, together.
    public var maximumDepth: Int
    /// How many values one message may hold, members of containers included. A value takes some 20 bytes of memory, more with
    /// content.
    public var maximumElements: Int

    /// Creates limits.
    public init(maximumDepth: Int = 64, maximumElements: Int = 4_194_304) {
        self.maximumDepth = maximumDepth
        self.maximumElements = maximumElements
    }

    /// 64 deep, 4 Mi values.
    public static let standard = CodingLimits()

    /// Values that take no bytes (`v`, `()`) could be announced by the billion; this many are allowed whatever the payload's
    /// size.
    static let freeElements = 65_536
}

/// What is left of the limits while one value is read or skipped.
struct CodingBudget {
    let objects: ObjectCoding
    private var depthLeft: Int
    private var elementsLeft: Int

    /// - Parameter cap: an absolute bound on elements; nil when nothing is allocated, so that work has to be bounded only by the
    ///   bytes.
    init(objects: ObjectCoding, depth: Int, cap: Int?, readableBytes: Int) {
        self.objects = objects
        depthLeft = depth
        // A sane value has at most a few nodes per byte: `[((C))]` has three. Wide tuples of nothing have endless ones.
        let earned = readableBytes * 4 + CodingLimits.freeElements
        elementsLeft = min(cap ?? earned, earned)
    }

    mutating func descend() throws(WireError) {
        depthLeft -= 1
        if depthLeft < 0 { throw WireError(.limit, "a value nested too deep") }
    }

    mutating func ascend() { depthLeft += 1 }

    mutating func spend(_ elements: Int) throws(WireError) {
        elementsLeft -= elements
        if elementsLeft < 0 { throw WireError(.limit, "a value with too many elements") }
    }
}
