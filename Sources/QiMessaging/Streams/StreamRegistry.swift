import Logging
import NIOCore

/// The streams that devices have opened to us: a path that a device opens begins one, or goes on with one. Confined to the bus loop.
///
/// A device is known by its key, which the path's TLS has proven; a stream goes on only on paths of the device, and of the key, that opened
/// it.
final class StreamRegistry {
    /// Most streams of all devices.
    static let most = 256

    private struct Entry {
        let stream: StreamChannel
        let device: String
        /// The full address of its opener: one program.
        let program: String
        let key: String
        /// The process that opened it.
        let instance: UInt64
    }

    /// Of the streams that come.
    var limits: StreamStateMachine.Limits
    /// Most streams of one device.
    private let perDevice: Int
    private let logger: Logger
    private let eventLoop: any EventLoop
    private var entries: [StreamID: Entry] = [:]

    init(limits: StreamStateMachine.Limits, on eventLoop: any EventLoop, perDevice: Int = 4, logger: Logger) {
        self.limits = limits
        self.perDevice = perDevice
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// Streams of that device.
    func streams(of device: String) -> [StreamChannel] { entries.values.filter { $0.device == device }.map(\.stream) }

    /// All of them.
    var streams: [StreamChannel] { entries.values.map(\.stream) }

    /// When something last came over the streams that have a path, by the program that opened them.
    var lastHeard: [(program: String, at: NIODeadline)] {
        entries.values.compactMap { entry in entry.stream.machine.lastHeard.map { (entry.program, $0) } }
    }

    /// One side of a path that a device opens to us.
    ///
    /// - Parameters:
    ///   - program: names the program there; of another device of one account an earlier stream is none of its business.
    ///   - key: what its TLS has proven, known by the time the device greets; nil: nothing.
    ///   - begin: puts the qi protocol on a new stream, before its first message.
    func side(
        of path: @escaping (any Channel) -> StreamPath, from device: String, program: String, key: @escaping () -> String?,
        begin: @escaping (StreamChannel) throws -> Void
    ) -> any StreamPathHandler.Side {
        Answerer(registry: self, path: path, device: device, program: program, key: key, begin: begin)
    }

    fileprivate func open(
        _ hello: StreamHello, _ device: String, _ program: String, _ key: String, _ begin: (StreamChannel) throws -> Void
    ) throws(StreamRefusal) -> StreamChannel {
        guard entries[hello.stream] == nil else { throw StreamRefusal(reason: .denied, text: "that stream exists already") }
        guard hello.received == 0 else { throw StreamRefusal(reason: .denied, text: "a new stream begins with frame 0") }
        for entry in entries.values where entry.device == device {
            let isOfEarlierProcess = entry.program == program && entry.key == key && entry.instance != hello.instance
            guard isOfEarlierProcess || entry.stream.isOver else { continue }
            forget(entry.stream)
            entry.stream.fail(QiError(.disconnected, "\(device) was started again"))
        }
        makeRoom(for: device)
        guard entries.count < Self.most, entries.values.count(where: { $0.device == device }) < perDevice else {
            throw StreamRefusal(reason: .full, text: "there are too many streams here; close some")
        }
        let stream = StreamChannel(id: hello.stream, limits: limits, on: eventLoop, logger: logger)
        stream.opener = StreamProcess(program: program, instance: hello.instance)
        do {
            try begin(stream)
        } catch {
            throw StreamRefusal(reason: .denied, text: (error as? QiError)?.message ?? "\(error)")
        }
        stream.owner = self
        stream.holding = entries.values.first { $0.device == device }?.stream.holding ?? StreamHolding()
        entries[hello.stream] = Entry(stream: stream, device: device, program: program, key: key, instance: hello.instance)
        return stream
    }

    /// A stream without a path gives its place to a new one of its device.
    private func makeRoom(for device: String) {
        guard entries.values.count(where: { $0.device == device }) >= perDevice,
            let old = entries.values.first(where: { $0.device == device && $0.stream.path == nil })
        else { return }
        forget(old.stream)
        old.stream.fail(QiError(.disconnected, "\(device) opened other streams instead"))
    }

    fileprivate func known(_ hello: StreamHello, _ device: String, _ key: String) throws(StreamRefusal) -> StreamChannel {
        guard let entry = entries[hello.stream], entry.device == device, entry.key == key, entry.instance == hello.instance,
            !entry.stream.isOver
        else { throw StreamRefusal(reason: .unknown, text: "that stream is not known here: this node was started again, or gave it up") }
        return entry.stream
    }

    private func forget(_ stream: StreamChannel) { entries[stream.id] = nil }

    /// Ends all streams of a device: it may not reach us any more.
    func drop(_ device: String, _ error: QiError) {
        for stream in streams(of: device) { stream.fail(error) }
    }
}

extension StreamRegistry: StreamChannelOwner {
    /// The device opens another one.
    func lostPath(_ stream: StreamChannel, _ kind: PathKind, _ reason: String) {}

    func ended(_ stream: StreamChannel) { forget(stream) }
}

private final class Answerer: StreamPathHandler.Side {
    let registry: StreamRegistry
    let path: (any Channel) -> StreamPath
    let device: String
    let program: String
    let key: () -> String?
    let begin: (StreamChannel) throws -> Void

    init(
        registry: StreamRegistry, path: @escaping (any Channel) -> StreamPath, device: String, program: String,
        key: @escaping () -> String?, begin: @escaping (StreamChannel) throws -> Void
    ) {
        self.program = program
        self.registry = registry
        self.path = path
        self.device = device
        self.key = key
        self.begin = begin
    }

    func hello() -> StreamHello? { nil }

    func greeted(_ frame: StreamFrame, on channel: any Channel) -> (stream: StreamChannel?, answer: StreamFrame?, attach: () -> Void) {
        do throws(StreamRefusal) {
            guard case .hello(let hello) = frame, let key = key() else {
                throw StreamRefusal(reason: .denied, text: "a path begins with a hello, of a device whose key is known")
            }
            let stream =
                switch hello.purpose {
                case .open: try registry.open(hello, device, program, key, begin)
                case .resume: try registry.known(hello, device, key)
                }
            try check(hello, stream)
            let own = stream.leavePath()
            let first = stream.machine.sender.first(after: hello.received)
            let welcome = StreamWelcome(stream: hello.stream, received: own, first: first, window: stream.machine.receiver.window)
            let path = path(channel)
            return (stream, .welcome(welcome), { stream.attach(path, peer: (hello.received, Int(hello.window)), first: own) })
        } catch {
            return (nil, .refused(error), {})
        }
    }

    /// A peer that cannot be right is refused, and the path that it has stays.
    private func check(_ hello: StreamHello, _ stream: StreamChannel) throws(StreamRefusal) {
        let sender = stream.machine.sender
        guard hello.received <= sender.numbered else {
            throw StreamRefusal(reason: .denied, text: "\(hello.received) frames are claimed, of \(sender.numbered) that were sent")
        }
    }

    func failed(_ reason: QiError) {}
}
