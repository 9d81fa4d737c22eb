import NIOCore

/// The side that opens a path: to begin a stream, or to go on with it. Used for one path.
final class StreamOpener: StreamPathHandler.Side {
    private let stream: StreamChannel
    private let path: (any Channel) -> StreamPath
    private let purpose: StreamHello.Purpose
    private let instance: UInt64
    private let completion: (Result<Void, QiError>) -> Void
    private var isDone = false

    /// - Parameter completion: called once: with success when the stream goes on over this path; `.conflict` when the peer does not know the
    ///   stream, `.denied` when it refuses it, `.limit` when it has no room, else `.disconnected`, `.timedOut`.
    init(
        _ stream: StreamChannel, _ purpose: StreamHello.Purpose, instance: UInt64, path: @escaping (any Channel) -> StreamPath,
        completion: @escaping (Result<Void, QiError>) -> Void
    ) {
        self.stream = stream
        self.purpose = purpose
        self.instance = instance
        self.path = path
        self.completion = completion
    }

    func hello() -> StreamHello? {
        let receiver = stream.machine.receiver
        return StreamHello(
            purpose: purpose, stream: stream.id, instance: instance, received: receiver.received, window: receiver.window)
    }

    func greeted(_ frame: StreamFrame, on channel: any Channel) -> (stream: StreamChannel?, answer: StreamFrame?, attach: () -> Void) {
        switch frame {
        case .welcome(let welcome) where welcome.stream == stream.id && !stream.isOver:
            let path = path(channel)
            return (stream, nil, { [self] in
                stream.attach(path, peer: (welcome.received, Int(welcome.window)), first: welcome.first)
                done(stream.path?.channel === channel ? .success(()) : .failure(QiError(.disconnected, "the path was lost at once")))
            })
        case .refused(let refusal):
            done(.failure(Self.error(refusal)))
        case .welcome(let welcome) where welcome.stream == stream.id:
            done(.failure(QiError(.disconnected, "the stream was closed while it was to go on over this path")))
        default:
            done(.failure(QiError(.disconnected, "the other side does not answer as a device stream has to")))
        }
        return (nil, nil, {})
    }

    private static func error(_ refusal: StreamRefusal) -> QiError {
        switch refusal.reason {
        case .unknown: QiError(.conflict, "the other side does not know the stream any more: \(refusal.text)")
        case .denied: QiError(.denied, "the other side refuses the stream: \(refusal.text)")
        case .full: QiError(.limit, "the other side has no room for the stream: \(refusal.text)")
        }
    }

    func failed(_ reason: QiError) { done(.failure(reason)) }

    private func done(_ result: Result<Void, QiError>) {
        guard !isDone else { return }
        isDone = true
        completion(result)
    }
}
