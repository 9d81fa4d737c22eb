// What a user writes: this one import has to be enough.
public import QiMessaging

/// Says hello.
@Service protocol Porter {
    /// Greets somebody.
    func greet(_ name: String) async throws -> String
    /// Greets many at once.
    func greet(all names: [String], at place: Point?) async throws -> [String: Point]
    func stop() async throws(QiError)
    func fail() async throws
    func waitForEver() async throws
    @QiMethod(idempotent: true) func add(_ first: Int32, _ second: Double) async throws -> Double
    func `repeat`(_ value: QiValue, in bytes: ByteBuffer) async throws -> QiValue
    var greeted: Signal<String> { get }
    var moved: Signal<Point, Int> { get }
    var stopped: Signal< > { get }
    var volume: Property<Int32> { get }
}

@QiStruct struct Point: Equatable {
    var x: Double
    var y: Double
    var name: String
}

actor FriendlyPorter: Porter {
    nonisolated let greeted = Signal<String>()
    nonisolated let moved = Signal<Point, Int>()
    nonisolated let stopped = Signal< >()
    nonisolated let volume = Property<Int32>(7)
    /// What happens to a call that waits.
    nonisolated let waiting = AsyncStream.makeStream(of: String.self)
    private(set) var stops = 0

    func greet(_ name: String) -> String {
        greeted.emit(name)
        return "Hello \(name)"
    }

    func greet(all names: [String], at place: Point?) -> [String: Point] {
        Dictionary(uniqueKeysWithValues: names.map { ($0, place ?? Point(x: 0, y: 0, name: $0)) })
    }

    func stop() {
        stops += 1
        stopped.emit()
    }

    func fail() throws { throw QiError(.invalid, "the voice is gone") }

    func waitForEver() async throws {
        waiting.continuation.yield("started")
        await untilCancelled()
        waiting.continuation.yield("cancelled")
        throw CancellationError()
    }

    func add(_ first: Int32, _ second: Double) -> Double { Double(first) + second }

    func `repeat`(_ value: QiValue, in bytes: ByteBuffer) -> QiValue { .tuple([value, bytes.qiValue]) }
}

/// The same protocol under another name, with fewer members than a `Porter` has.
@Service("ALTextToSpeech") public protocol Speech: Sendable {
    func say(_ text: String) async throws -> Bool
}

struct Voice: Speech {
    func say(_ text: String) async throws -> Bool { !text.isEmpty }
}
