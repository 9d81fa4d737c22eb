import Logging
import NIOCore

/// Keeps a stream that we opened on the best path there is: carries out what ``PathLadderStateMachine`` says, for as long as the stream
/// lives. Confined to the bus loop.
final class PathLadder {
    private let bus: Bus
    let stream: StreamChannel
    private let source: any StreamPathSource
    private let device: String
    private(set) var machine: PathLadderStateMachine
    private var first: ((Result<Void, QiError>) -> Void)?
    private var sleeper: UnsafeContinuation<Void, Never>?
    private var hasNews = false

    init(bus: Bus, stream: StreamChannel, to device: String, source: any StreamPathSource) {
        self.bus = bus
        self.stream = stream
        self.device = device
        self.source = source
        machine = PathLadderStateMachine(source.kinds)
        stream.owner = self
    }

    /// Opens the first path; returns when the stream runs on it. Further ones are tried from then on.
    ///
    /// - Throws: as ``StreamPathSource/open(_:on:install:)``, and what the device refuses the stream with. The stream is over then.
    nonisolated(nonsending) func open() async throws(QiError) {
        var result: Result<Void, QiError>?
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            first = {
                result = $0
                continuation.resume()
            }
            bus.enqueue { [self] in await run() }
        }
        try result?.get()
    }

    /// Something has changed: what failed is tried again at once.
    func encourage() {
        machine.encouraged()
        wake()
    }

    /// Keeps the stream on one kind of path; nil: it chooses for itself again.
    func keep(to kind: PathKind?) {
        machine.keep(to: kind)
        wake()
    }

    /// Returns when the stream is on that kind of path, or an attempt has failed, or at `end`.
    nonisolated(nonsending) func settled(on kind: PathKind, until end: NIODeadline) async {
        let attempts = machine.attempts
        while stream.path?.kind != kind, machine.attempts == attempts, !stream.isOver, NIODeadline.now() < end {
            await bus.pause(.milliseconds(20))
        }
    }

    private func wake() {
        hasNews = true
        sleeper?.resume()
        sleeper = nil
    }

    private func run() async {
        while !stream.isOver, !bus.isShutDown {
            hasNews = false
            switch machine.next(at: .now()) {
            case .attempt(let kind): await attempt(kind)
            case .wait(let deadline): await sleep(until: deadline)
            }
        }
        answerFirst(.failure(QiError(.disconnected, "the stream to \(device) was closed")))
    }

    private nonisolated(nonsending) func sleep(until deadline: NIODeadline?) async {
        var timer: Scheduled<Void>?
        // All inside, for what ends the sleep may come on the way there.
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            guard !hasNews, !stream.isOver, !bus.isShutDown else { return continuation.resume() }
            sleeper = continuation
            timer = deadline.map { bus.schedule(at: $0) { [weak self] in self?.wake() } }
        }
        timer?.cancel()
    }

    private func answerFirst(_ result: Result<Void, QiError>) {
        first?(result)
        first = nil
    }

    private nonisolated(nonsending) func attempt(_ kind: PathKind) async {
        do throws(QiError) {
            try await reach(by: kind)
            bus.logger.info("path in use", metadata: stream.metadata([LogKeys.peer: "\(device)", LogKeys.path: "\(kind)"]))
            machine.attached(kind, at: .now())
            answerFirst(.success(()))
        } catch {
            failed(kind, source.refusal ?? error)
        }
    }

    private func failed(_ kind: PathKind, _ error: QiError) {
        bus.logger.debug(
            "path not available", metadata: stream.metadata([LogKeys.peer: "\(device)", LogKeys.path: "\(kind)", LogKeys.error: "\(error.message)"]))
        machine.failed(kind, error.message, at: .now())
        if first != nil, kind == source.kinds.last {
            answerFirst(.failure(error))
            return stream.fail(error)
        }
        switch error.code {
        case .conflict:
            stream.fail(QiError(.disconnected, "\(device) was started again, or gave the stream up", cause: error))
        case .denied: stream.fail(error)
        default: break
        }
    }

    /// Opens a path and takes the stream over to it.
    private nonisolated(nonsending) func reach(by kind: PathKind) async throws(QiError) {
        let isNew = first != nil
        let result = NIOLoopBoundBox<Result<Void, QiError>?>.makeEmptyBox(valueType: Result<Void, QiError>.self, eventLoop: bus.eventLoop)
        let own = NIOLoopBound(self, eventLoop: bus.eventLoop)
        let source = source
        try await source.open(kind, on: bus.eventLoop) { channel in
            channel.eventLoop.makeCompletedFuture {
                let ladder = own.value
                let opener = StreamOpener(
                    ladder.stream, isNew ? .open : .resume, instance: StreamInstance.own,
                    path: { StreamPath($0, kind) { source.width(of: kind) } }
                ) {
                    result.value = $0
                    own.value.wake()
                }
                try channel.pipeline.syncOperations.addHandler(StreamPathHandler(opener))
            }
        }
        while result.value == nil, !stream.isOver {
            hasNews = false
            await sleep(until: nil)
        }
        guard let outcome = result.value else { throw QiError(.disconnected, "the stream to \(device) was closed") }
        try outcome.get()
    }
}

extension PathLadder: StreamChannelOwner {
    func lostPath(_ stream: StreamChannel, _ kind: PathKind, _ reason: String) {
        machine.lost(kind, reason, at: .now())
        wake()
    }

    func ended(_ stream: StreamChannel) { wake() }
}

/// Names this process among those that opened streams: a peer that sees another one ends what an earlier one began.
enum StreamInstance {
    static let own = UInt64.random(in: 1 ... .max)
}
