import NIOCore
import QiWire

/// The statistics of one object (wire reference §20): count and wall time per method, in seconds, once enabled.
struct ObjectStatistics {
    private struct MethodStatistics {
        var count: UInt32 = 0
        var minimum = Float.infinity
        var maximum: Float = 0
        var sum: Float = 0
    }

    private var isEnabled = false
    private var isTraceEnabled = false
    private var methods: [UInt32: MethodStatistics] = [:]

    /// The start of a measurement; nil while nothing is measured.
    func start() -> NIODeadline? { isEnabled ? .now() : nil }

    mutating func finish(_ method: UInt32, _ start: NIODeadline?) {
        guard let start else { return }
        let seconds = Float((NIODeadline.now() - start).nanoseconds) / 1e9
        var entry = methods[method] ?? MethodStatistics()
        entry.count &+= 1
        entry.minimum = min(entry.minimum, seconds)
        entry.maximum = max(entry.maximum, seconds)
        entry.sum += seconds
        methods[method] = entry
    }

    /// Serves the generic actions 80 to 85.
    mutating func perform(_ action: UInt32, _ arguments: [QiValue]) throws(QiError) -> QiValue {
        switch action {
        case WellKnownActions.isStatsEnabled: return .bool(isEnabled)
        case WellKnownActions.enableStats:
            isEnabled = arguments.first?.asBool ?? false
            return .void
        case WellKnownActions.stats: return .map(methods.sorted { $0.key < $1.key }.map(Self.entry))
        case WellKnownActions.clearStats:
            methods = [:]
            return .void
        case WellKnownActions.isTraceEnabled: return .bool(isTraceEnabled)
        case WellKnownActions.enableTrace:
            isTraceEnabled = arguments.first?.asBool ?? false
            return .void
        default: throw QiError(.notFound, "No such method \(action)")
        }
    }

    private static func entry(_ method: UInt32, _ statistics: MethodStatistics) -> QiMapEntry {
        let wall: QiValue = .tuple([.float(statistics.minimum), .float(statistics.maximum), .float(statistics.sum)])
        let none: QiValue = .tuple([.float(0), .float(0), .float(0)])
        return QiMapEntry(key: .uint32(method), value: .tuple([.uint32(statistics.count), wall, none, none]))
    }
}
