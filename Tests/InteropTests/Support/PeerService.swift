import NIOCore
import QiMessaging
import QiWire

/// The service of `Peers/service.py`, in Swift.
enum PeerService {
    /// The rows of `common.TYPES`.
    static let types: [(name: String, signature: Signature)] = [
        ("bool", "b"), ("int8", "c"), ("uint8", "C"), ("int16", "w"), ("uint16", "W"), ("int32", "i"), ("uint32", "I"),
        ("int64", "l"), ("uint64", "L"), ("float", "f"), ("double", "d"), ("string", "s"), ("raw", "r"), ("ints", "[i]"),
        ("strings", "[s]"), ("map", "{si}"), ("keyed", "{i[s]}"), ("pair", "(is)"), ("point", "(dds)<Point,x,y,label>"),
        ("points", "[(dds)<Point,x,y,label>]"), ("optional", "+i"), ("optionals", "[+s]"), ("dynamic", "m"),
        ("dynamics", "[m]"), ("settings", "{sm}"),
    ]

    /// Raised by `fail`: its description is the text the caller gave.
    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    static func object() -> ObjectBuilder {
        var builder = ObjectBuilder(description: "the test service")
        for (name, signature) in types {
            builder.advertiseMethod("echo_\(name)", Signature(.tuple([signature.type])), returns: signature) { arguments, _ in
                arguments[0]
            }
        }
        addValues(to: &builder)
        addSignals(to: &builder)
        addObjects(to: &builder)
        return builder
    }

    private static func addValues(to builder: inout ObjectBuilder) {
        builder.advertiseMethod("concat", "(sis)", returns: "s") { arguments, _ in
            .string("\(try text(arguments[0]))\(try number(arguments[1]))\(try text(arguments[2]))")
        }
        builder.advertiseMethod("over", "(i)", returns: "s") { _, _ in .string("int") }
        builder.advertiseMethod("over", "(s)", returns: "s") { _, _ in .string("string") }
        builder.advertiseMethod("over", "(ii)", returns: "s") { _, _ in .string("two ints") }
        builder.advertiseMethod("untyped", "(mm)", returns: "m") { arguments, _ in .list(arguments) }
        builder.advertiseMethod("variadic", "m", returns: "m") { arguments, _ in .list(arguments) }
        builder.advertiseMethod("nothing", "()") { _, _ in .void }
        builder.advertiseMethod("size", "(r)", returns: "I") { arguments, _ in
            .uint32(UInt32(arguments[0].asRaw?.readableBytes ?? 0))
        }
        builder.advertiseMethod("bytes_of", "(I)", returns: "r") { arguments, _ in
            .raw(ByteBuffer(repeating: 7, count: Int(try number(arguments[0]))))
        }
        builder.advertiseMethod("fail", "(s)") { arguments, _ in throw Failure(description: try text(arguments[0])) }
        builder.advertiseMethod("slow", "(d)", returns: "s") { arguments, _ in
            let seconds = arguments[0].asDouble ?? 0
            // The time is what this method is for: a robot's moveTo takes as long.
            try await Task.sleep(for: .seconds(seconds))
            return .string("after \(Int(seconds)) s")
        }
        let (waiting, cancelled) = (Count(0), Count(0))
        builder.advertiseMethod("endless", "()", returns: "s") { _, _ in
            _ = await waiting.add(1)
            do {
                try await Task.sleep(for: .seconds(3600))
            } catch {
                _ = await (waiting.add(-1), cancelled.add(1))
                throw error
            }
            return .string("an hour later")
        }
        builder.advertiseMethod("waiting", "()", returns: "i") { _, _ in .int32(await waiting.add(0)) }
        builder.advertiseMethod("cancelled", "()", returns: "i") { _, _ in .int32(await cancelled.add(0)) }
    }

    private static func addSignals(to builder: inout ObjectBuilder) {
        builder.advertiseSignal("spoken", "(s)")
        builder.advertiseSignal("moved", "(is)")
        builder.advertiseProperty("volume", "i", initial: .int32(50))
        builder.advertiseProperty("title", "s", initial: .string("peer"))
        builder.advertiseMethod("say", "(s)") { arguments, context in
            try context.object.emit("spoken", arguments)
            return .void
        }
        builder.advertiseMethod("move", "(is)") { arguments, context in
            try context.object.emit("moved", arguments)
            return .void
        }
        builder.advertiseMethod("burst", "(i)") { arguments, context in
            for number in 0..<(try number(arguments[0])) { try context.object.emit("spoken", [.string("burst \(number)")]) }
            return .void
        }
    }

    private static func addObjects(to builder: inout ObjectBuilder) {
        builder.advertiseMethod("counter", "(i)", returns: "o") { arguments, context in
            let start = try number(arguments[0])
            return .object(try await context.host(counter(from: Int32(start))).reference)
        }
        builder.advertiseMethod("recall", "(os)", returns: "s") { arguments, context in
            guard let reference = arguments[0].asObject else { throw Failure(description: "no object") }
            let caller = try await context.proxy(for: reference)
            return try await caller.call("called", arguments: [arguments[1]])
        }
        builder.advertiseMethod("pid", "()", returns: "i") { _, _ in .int32(0) }
    }

    private static func counter(from start: Int32) -> ObjectBuilder {
        let value = Count(start)
        var builder = ObjectBuilder()
        builder.advertiseSignal("passed", "(i)")
        builder.advertiseProperty("total", "i", initial: .int32(start))
        builder.advertiseMethod("add", "(i)", returns: "i") { arguments, context in
            let total = await value.add(Int32(try number(arguments[0])))
            try context.object.setProperty("total", .int32(total))
            try context.object.emit("passed", [.int32(total)])
            return .int32(total)
        }
        return builder
    }

    private actor Count {
        private var value: Int32
        init(_ start: Int32) { value = start }
        func add(_ step: Int32) -> Int32 {
            value += step
            return value
        }
    }

    private static func text(_ value: QiValue) throws -> String {
        guard let text = value.asString else { throw Failure(description: "not a text") }
        return text
    }

    private static func number(_ value: QiValue) throws -> Int64 {
        guard let number = value.asInt else { throw Failure(description: "not a number") }
        return number
    }
}
