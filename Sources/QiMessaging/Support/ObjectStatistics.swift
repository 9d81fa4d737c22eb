import CQiSystem
import NIOCore
import QiWire

/// The statistics of one object (wire reference §20): count, wall, user and system time per method, in seconds, once enabled.
struct ObjectStatistics: Sendable {
    /// The start of a measurement. CPU times are those of the thread: told of methods that stay on one, nothing else would be true.
    struct Measurement: Sendable {
        private let start = NIODeadline.now()
        private let times: (user: Float, system: Float)?

        init(onThread: Bool) { times = onThread ? Self.threadTimes() : nil }

        fileprivate var elapsed: (wall: Float, user: Float, system: Float) {
            let wall = Float((NIODeadline.now() - start).nanoseconds) / 1e9
            guard let times, let now = Self.threadTimes() else { return (wall, 0, 0) }
            return (wall, now.user - times.user, now.system - times.system)
        }

        private static func threadTimes() -> (user: Float, system: Float)? {
            var (user, system) = (Int64(0), Int64(0))
            guard qimesh_thread_times(&user, &system) == 0 else { return nil }
            return (Float(Double(user) / 1e6), Float(Double(system) / 1e6))
        }
    }

    private struct Range {
        var minimum = Float.infinity
        var maximum: Float = 0
        var sum: Float = 0

        mutating func add(_ value: Float) {
            minimum = min(minimum, value)
            maximum = max(maximum, value)
            sum += value
        }

        var value: QiValue { .tuple([.float(minimum), .float(maximum), .float(sum)]) }
    }

    private struct MethodStatistics {
        var count: UInt32 = 0
        var wall = Range()
        var user = Range()
        var system = Range()
    }

    private var methods: [UInt32: MethodStatistics] = [:]

    mutating func finish(_ method: UInt32, _ measurement: Measurement) {
        let elapsed = measurement.elapsed
        var entry = methods[method] ?? MethodStatistics()
        entry.count &+= 1
        entry.wall.add(elapsed.wall)
        entry.user.add(elapsed.user)
        entry.system.add(elapsed.system)
        methods[method] = entry
    }

    mutating func clear() { methods = [:] }

    /// What `stats` answers.
    var value: QiValue {
        .map(
            methods.sorted { $0.key < $1.key }.map { method, entry in
                QiMapEntry(
                    key: .uint32(method),
                    value: .tuple([.uint32(entry.count), entry.wall.value, entry.user.value, entry.system.value]))
            })
    }
}
