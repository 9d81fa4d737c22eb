import NIOCore

/// Who waits for an object's path to come back. Confined to the bus loop.
struct AttachWaiters {
    private var waiting: [UInt64: (QiError?) -> Void] = [:]
    private var nextToken: UInt64 = 1

    /// More callers than one process has.
    static let maximum = 65_536

    var isFull: Bool { waiting.count >= Self.maximum }

    mutating func add(_ completion: @escaping (QiError?) -> Void) -> UInt64 {
        defer { nextToken += 1 }
        waiting[nextToken] = completion
        return nextToken
    }

    mutating func remove(_ token: UInt64) -> ((QiError?) -> Void)? { waiting.removeValue(forKey: token) }

    mutating func removeAll() -> [(QiError?) -> Void] {
        defer { waiting = [:] }
        return waiting.sorted { $0.key < $1.key }.map(\.value)
    }
}
