/// A pattern for names: `*` stands for any run of characters, everything else for itself. Case counts.
public struct NameGlob: Hashable, Sendable, CustomStringConvertible {
    private let pattern: [UInt8]

    public init(_ pattern: String) { self.pattern = Array(pattern.utf8) }

    private static let star = UInt8(ascii: "*")

    public var description: String { String(decoding: pattern, as: UTF8.self) }

    /// Whether every name matches.
    public var matchesAll: Bool { !pattern.isEmpty && pattern.allSatisfy { $0 == Self.star } }

    /// Whether only one name matches.
    public var isLiteral: Bool { !pattern.contains(Self.star) }

    public func matches(_ name: String) -> Bool {
        var name = name
        return name.withUTF8 { matches($0) }
    }

    /// Greedy matching that returns only to the last star: at most pattern times name steps.
    private func matches(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        var next = 0
        var position = 0
        var retry: (pattern: Int, name: Int)?
        while position < name.count {
            if next < pattern.count, pattern[next] == Self.star {
                retry = (next + 1, position)
                next += 1
            } else if next < pattern.count, pattern[next] == name[position] {
                next += 1
                position += 1
            } else if let last = retry {
                next = last.pattern
                position = last.name + 1
                retry = (last.pattern, position)
            } else {
                return false
            }
        }
        return pattern[next...].allSatisfy { $0 == Self.star }
    }
}
