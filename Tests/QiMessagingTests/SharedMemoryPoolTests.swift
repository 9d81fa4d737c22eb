@testable import QiMessaging
import Testing

struct SharedMemoryPoolTests {
    private let megabyte = 1 << 20

    /// `#expect` cannot take calls apart that change a value.
    private final class Pool {
        private var pool = SharedMemoryPool()
        func payload(of bytes: Int) -> SharedMemoryPool.OnPayload { pool.payload(of: bytes) }
        func answered(_ segment: Int, accepted: Bool) -> Bool { pool.answered(segment, accepted: accepted) }
        func released(_ segment: Int, offset: Int) -> Bool { pool.released(segment, offset: offset) }
        func failed(_ segment: Int) { pool.failed(segment) }
    }

    /// A pool whose segments were all offered and taken.
    private func readyPool() -> Pool {
        let pool = Pool()
        for (segment, shape) in SharedMemoryPool.shapes.enumerated() {
            let first = pool.payload(of: shape.slotSize)
            #expect(first == .make(segment: segment))
            let isTaken = pool.answered(segment, accepted: true)
            #expect(isTaken)
        }
        return pool
    }

    @Test func theFirstGoesOverTheSocket() {
        let pool = Pool()
        #expect(pool.payload(of: megabyte) == .make(segment: 0))
        #expect(pool.payload(of: megabyte) == .socket)
        #expect(pool.answered(0, accepted: true))
        #expect(pool.payload(of: megabyte) == .use(segment: 0, offset: 0))
        #expect(pool.payload(of: 1) == .use(segment: 0, offset: megabyte))
    }

    @Test(arguments: [(1, 0), (1 << 20, 0), (1 << 20 + 1, 1), (10_000_000, 2), (16 << 20, 2)])
    func sizes(_ bytes: Int, _ segment: Int) {
        let pool = readyPool()
        #expect(pool.payload(of: bytes) == .use(segment: segment, offset: 0))
    }

    @Test func tooBig() {
        let pool = readyPool()
        #expect(pool.payload(of: 16 << 20 + 1) == .socket)
    }

    @Test func aFullSegmentSpillsIntoTheNextAndThenOntoTheSocket() {
        let pool = readyPool()
        let all = SharedMemoryPool.shapes.reduce(0) { $0 + $1.slots }
        var places: Set<String> = []
        for _ in 0..<all {
            guard case .use(let segment, let offset) = pool.payload(of: 1000) else { return _ = Issue.record("not placed") }
            places.insert("\(segment) \(offset)")
        }
        #expect(places.count == all)
        #expect(pool.payload(of: 1000) == .socket)
        #expect(pool.released(0, offset: 3 * megabyte))
        #expect(pool.payload(of: 1000) == .use(segment: 0, offset: 3 * megabyte))
    }

    @Test func aBurstMakesNoBiggerSegment() {
        let pool = Pool()
        _ = pool.payload(of: 1000)
        _ = pool.answered(0, accepted: true)
        for _ in 0..<8 { _ = pool.payload(of: 1000) }
        #expect(pool.payload(of: 1000) == .socket)
        #expect(pool.payload(of: 2 * megabyte) == .make(segment: 1))
    }

    @Test func aRefusedSegmentIsNotOfferedAgain() {
        let pool = Pool()
        _ = pool.payload(of: 1000)
        #expect(pool.answered(0, accepted: false))
        #expect(pool.payload(of: 1000) == .socket)
        _ = pool.payload(of: 2 * megabyte)
        pool.failed(1)
        #expect(pool.payload(of: 2 * megabyte) == .socket)
    }

    @Test func lies() {
        var pool = Pool()
        for segment in [-1, 0, 3, .max] { #expect(!pool.answered(segment, accepted: true)) }
        #expect(!pool.released(0, offset: 0))
        pool = readyPool()
        #expect(!pool.answered(0, accepted: true))
        #expect(!pool.released(0, offset: 0))
        _ = pool.payload(of: 1000)
        for (segment, offset) in [(0, 1), (0, -megabyte), (0, 8 * megabyte), (0, .max), (1, 0), (-1, 0), (3, 0)] {
            #expect(!pool.released(segment, offset: offset), "\(segment) \(offset)")
        }
        #expect(pool.released(0, offset: 0))
        #expect(!pool.released(0, offset: 0))
    }
}
