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
    /// How long calls wait for a device that is away, which may come back: shorter than for a path to one that is there.
    private let patience: TimeAmount
    private var awaySince: NIODeadline?

    init(bus: Bus, stream: StreamChannel, to device: String, source: any StreamPathSource, patience: TimeAmount) {
        self.patience = patience
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

    /// The program at the other end, and when something last came from it; nil while there is no path.
    var lastHeard: (program: String, at: NIODeadline)? {
        guard let program = source.program, let at = stream.machine.lastHeard else { return nil }
        return (program, at)
    }

    /// Whether the device is not waited for any more where another one can take its place: there is no path, and its presence is gone, or
    /// nothing has come for the time after which a path is dead.
    func isGivenUp(at now: NIODeadline) -> Bool {
        guard stream.path == nil else { return false }
        return source.isAway || stream.machine.lastHeardOnAnyPath.map { now - $0 >= stream.machine.limits.liveness.death } ?? true
    }

    /// Something has changed: what failed is tried again at once.
    func encourage() {
        machine.encouraged()
        wake()
    }

    /// Keeps the stream on one kind of path; nil, or a kind that is not there: it chooses for itself again.
    func keep(to kind: PathKind?) {
        machine.keep(to: kind.flatMap { kind in machine.rungs.contains { $0.kind == kind } ? kind : nil })
        wake()
    }

    /// Returns when the stream is on that kind of path, an attempt has failed, or it is not kept on that kind any more; or at `end`.
    nonisolated(nonsending) func settled(on kind: PathKind, until end: NIODeadline) async {
        let attempts = machine.attempts
        while machine.only == kind, stream.path?.kind != kind, machine.attempts == attempts, !stream.isOver, NIODeadline.now() < end {
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
            case .attempt(let kind): bus.enqueue { [self] in await attempt(kind) }
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
            answerFirst(.success(()))
        } catch {
            failed(kind, first == nil ? error : source.refusal ?? error)
        }
        wake()
    }

    /// The stream has gone over to this path, just now.
    private func attached(_ kind: PathKind) {
        bus.logger.info("path in use", metadata: stream.metadata([LogKeys.peer: "\(device)", LogKeys.path: "\(kind)"]))
        awaySince = nil
        machine.attached(kind, at: .now())
    }

    /// The device has proven who it is: better paths may be tried.
    func climb() {
        machine.climb()
        wake()
    }

    private func failed(_ kind: PathKind, _ error: QiError) {
        bus.logger.debug(
            "path not available", metadata: stream.metadata([LogKeys.peer: "\(device)", LogKeys.path: "\(kind)", LogKeys.error: "\(error.message)"]))
        machine.failed(kind, error.message, at: .now())
        if first != nil, kind == source.kinds.last {
            answerFirst(.failure(error))
            return stream.fail(error)
        }
        if endsForAbsence() {
            return stream.fail(QiError(.offline, "\(device) went away, and did not come back within \(Duration(patience).text)", cause: error))
        }
        // An attempt that fails harms no path that works.
        guard stream.path == nil else { return }
        switch error.code {
        case .conflict:
            stream.fail(QiError(.disconnected, "\(device) was started again, or gave the stream up", cause: error))
        case .denied where error.message.hasPrefix("denied: "): stream.fail(error)
        default: break
        }
    }

    /// Whether there has been no path for as long as the device is away, and that is too long.
    private func endsForAbsence() -> Bool {
        guard stream.path == nil, source.isAway else {
            awaySince = nil
            return false
        }
        let now = NIODeadline.now()
        let since = awaySince ?? now
        awaySince = since
        // The next attempt would come too late.
        return now - since >= patience - PathLadderStateMachine.urgent.most
    }

    /// Opens a path and takes the stream over to it.
    private nonisolated(nonsending) func reach(by kind: PathKind) async throws(QiError) {
        let isNew = first != nil
        let greeting = NIOLoopBound(Greeting(), eventLoop: bus.eventLoop)
        let own = NIOLoopBound(self, eventLoop: bus.eventLoop)
        let source = source
        try await source.open(kind, on: bus.eventLoop) { channel in
            channel.eventLoop.makeCompletedFuture {
                let ladder = own.value
                let opener = StreamOpener(
                    ladder.stream, isNew ? .open : .resume, instance: StreamInstance.own,
                    path: { StreamPath($0, kind) { source.width(of: kind) } }
                ) {
                    if case .success = $0 { own.value.attached(kind) }
                    greeting.value.ended($0)
                }
                try channel.pipeline.syncOperations.addHandler(StreamPathHandler(opener))
            }
        }
        try await greeting.value.result().get()
    }
}

/// What the greeting on one path came to; the path ends it in time (``StreamPathHandler``).
private final class Greeting {
    private var outcome: Result<Void, QiError>?
    private var waiter: UnsafeContinuation<Void, Never>?

    func ended(_ result: Result<Void, QiError>) {
        outcome = outcome ?? result
        waiter?.resume()
        waiter = nil
    }

    nonisolated(nonsending) func result() async -> Result<Void, QiError> {
        // All inside, for the end may come on the way there.
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            if outcome != nil { return continuation.resume() }
            waiter = continuation
        }
        return outcome ?? .failure(QiError(.disconnected, "the path was not greeted"))
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
