import QiMessaging
import QiWire

/// A service as a person would write it with `@Service`, with binding and proxy spelled out: what the macro's output is held to.
protocol Greeter: Sendable {
    func greet(_ name: String) async throws -> String
    func wait() async throws
    func makeCounter(from start: Int32) async throws -> ObjectProxy
    func callBack(_ listener: ObjectProxy) async throws -> String
    var greeted: Signal<String, Int32> { get }
    var counted: Signal<ObjectProxy> { get }
    var volume: Property<Int32> { get }
}

struct GreeterBinding<Implementation: Greeter>: ServiceBinding {
    static var serviceName: String { "Greeter" }
    let implementation: Implementation
    let callType: CallType

    init(_ implementation: Implementation, callType: CallType = .queued) {
        self.implementation = implementation
        self.callType = callType
    }

    func makeObject() -> ObjectBuilder {
        let implementation = implementation
        var object = ObjectBuilder()
        object.setImplementation(implementation)
        object.advertise(
            method: "greet", parameters: [String.qiType], parameterNames: ["name"], returns: String.qiType, callType: callType
        ) { call in
            let name = try call.next(String.self)
            try call.reply(try await implementation.greet(name))
        }
        object.advertise(method: "wait", parameters: [], callType: callType) { _ in try await implementation.wait() }
        object.advertise(
            method: "makeCounter", parameters: [Int32.qiType], returns: ObjectProxy.qiType, callType: callType
        ) { call in
            let start = try call.next(Int32.self)
            try call.reply(try await implementation.makeCounter(from: start))
        }
        object.advertise(
            method: "callBack", parameters: [ObjectProxy.qiType], returns: String.qiType, callType: callType
        ) { call in
            let listener = try call.next(ObjectProxy.self)
            try call.reply(try await implementation.callBack(listener))
        }
        object.advertise(signal: "greeted", implementation.greeted)
        object.advertise(signal: "counted", implementation.counted)
        object.advertise(property: "volume", implementation.volume)
        return object
    }
}

struct GreeterProxy: Greeter, ServiceProxy {
    static var serviceName: String { "Greeter" }
    let object: ObjectProxy
    var deadline: Duration = .seconds(10)
    private let local: (any Greeter)?
    private let greetMethod: RemoteMethod
    private let waitMethod: RemoteMethod
    private let makeCounterMethod: RemoteMethod
    private let callBackMethod: RemoteMethod

    init(_ object: ObjectProxy) {
        self.object = object
        local = object.implementation()
        greetMethod = object.method("greet", parameters: [String.qiType], returns: String.qiType)
        waitMethod = object.method("wait", parameters: [])
        makeCounterMethod = object.method("makeCounter", parameters: [Int32.qiType], returns: ObjectProxy.qiType)
        callBackMethod = object.method("callBack", parameters: [ObjectProxy.qiType], returns: String.qiType)
    }

    nonisolated(nonsending) func greet(_ name: String) async throws -> String {
        if let local, object.isDirect { return try await local.greet(name) }
        return try await object.invoke(greetMethod, deadline: deadline) { (arguments) throws(WireError) in try arguments.append(name) }
    }

    nonisolated(nonsending) func wait() async throws {
        if let local, object.isDirect { return try await local.wait() }
        try await object.invoke(waitMethod, deadline: deadline) { (_) throws(WireError) in }
    }

    nonisolated(nonsending) func makeCounter(from start: Int32) async throws -> ObjectProxy {
        if let local, object.isDirect { return try await local.makeCounter(from: start) }
        return try await object.invoke(makeCounterMethod, deadline: deadline) { (arguments) throws(WireError) in
            try arguments.append(start)
        }
    }

    nonisolated(nonsending) func callBack(_ listener: ObjectProxy) async throws -> String {
        if let local, object.isDirect { return try await local.callBack(listener) }
        return try await object.invoke(callBackMethod, deadline: deadline) { (arguments) throws(WireError) in
            try arguments.append(listener)
        }
    }

    var greeted: Signal<String, Int32> { local?.greeted ?? Signal(of: object, named: "greeted") }
    var counted: Signal<ObjectProxy> { local?.counted ?? Signal(of: object, named: "counted") }
    var volume: Property<Int32> { local?.volume ?? Property(of: object, named: "volume") }
}

/// Counts, tells of it, and lets go when nobody holds it.
actor FriendlyGreeter: Greeter {
    nonisolated let greeted = Signal<String, Int32>()
    nonisolated let counted = Signal<ObjectProxy>()
    nonisolated let volume = Property<Int32>(7)
    nonisolated let waiting = AsyncStream.makeStream(of: String.self)
    private var count: Int32 = 0

    func greet(_ name: String) async throws -> String {
        guard !name.isEmpty else { throw QiError(.invalid, "nobody to greet") }
        count += 1
        greeted.emit(name, count)
        return "Hello \(name)"
    }

    /// Waits until it is cancelled.
    func wait() async throws {
        waiting.continuation.yield("waits")
        defer { waiting.continuation.yield(Task.isCancelled ? "cancelled" : "ended") }
        for await _ in AsyncStream<Never>.makeStream().stream {}
        try Task.checkCancellation()
    }

    func makeCounter(from start: Int32) async throws -> ObjectProxy {
        let counter = ObjectProxy(Self.counter(from: start))
        counted.emit(counter)
        return counter
    }

    func callBack(_ listener: ObjectProxy) async throws -> String { try await listener.call("told", "news") }

    static func counter(from start: Int32) -> ObjectBuilder {
        let value = Property<Int32>(start)
        var object = ObjectBuilder()
        object.advertise(property: "value", value)
        object.advertise(immediateMethod: "next", parameters: [], returns: Int32.qiType) { call in
            value.value += 1
            try call.reply(value.value)
        }
        return object
    }
}
