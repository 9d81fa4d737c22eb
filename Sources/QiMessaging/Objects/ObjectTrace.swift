import CQiSystem
import QiWire

/// The events of the signal `traceObject` (wire reference §20): a traced object tells of every call, its result or error, and
/// every emission.
enum ObjectTrace {
    enum Kind: Int32 {
        case call = 1
        case result = 2
        case error = 3
        case signal = 4
    }

    /// The one argument of the signal, an `EventTrace`.
    ///
    /// - Parameters:
    ///   - id: pairs a call with its result.
    ///   - content: of a call and a signal the arguments as a list, of a result its value, of an error its text.
    static func event(_ kind: Kind, id: UInt32, member: UInt32, content: QiValue) -> QiValue {
        let now = qimesh_microseconds()
        let thread = UInt32(truncatingIfNeeded: qimesh_gettid())
        return .tuple([
            .uint32(id), .int32(kind.rawValue), .uint32(member), .dynamic(content.withoutObjects),
            .tuple([.int64(now / 1_000_000), .int64(now % 1_000_000)]), .int64(0), .int64(0), .uint32(thread),
            .uint32(thread),
        ])
    }

    /// Arguments as a trace shows them.
    static func list(_ arguments: [QiValue]) -> QiValue { .list(arguments.map { .dynamic($0) }) }
}

extension QiValue {
    /// Who traces a call must not be given the objects in it.
    fileprivate var withoutObjects: QiValue {
        holdsObject ? mapObjects { _ in ObjectReference.null } : self
    }
}
