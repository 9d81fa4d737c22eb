import NIOCore
import NIOPosix
import QiWire
import Synchronization

/// One call within this process of a method that may take its time: a task of its own, which is cancelled when the caller is, when
/// the deadline passes, and when the service goes away. The call ends when the method does.
final class LocalCall: Sendable {
    /// A task that may be cancelled from elsewhere while it runs.
    // @unchecked: what it is used for, `cancel`, is `Task`'s as well, and may be called from anywhere.
    private struct Running: @unchecked Sendable {
        let task: UnsafeCurrentTask
    }

    private struct State {
        var outcome: Result<QiValue, any Error>?
        var interruption: QiError?
        var running: Running?
        /// How many cancel the task just now, and who waits for them: it must not end before.
        var cancelling = 0
        var whenCancelled: UnsafeContinuation<Void, Never>?
        /// What watches it, when it lasts.
        var timer: Scheduled<Void>?
        var end: UInt64?
        var isOver = false
    }

    private let state = Mutex(State())
    private let label: CallLabel
    private let time: Duration
    private let deadline: NIODeadline
    private let handle: ProxyHandle

    private init(_ label: CallLabel, _ time: Duration, _ handle: ProxyHandle) {
        self.label = label
        self.time = time
        deadline = .now() + TimeAmount(time)
        self.handle = handle
    }

    /// How many calls run within each other on one thread.
    @TaskLocal private static var depth = 0
    private static let mostDepth = 16

    /// Runs `body` and answers its outcome, or why it was interrupted. The method begins on the thread of its caller, so that one which
    /// does not suspend costs no change of threads; but not on that of an actor or an event loop, which it may block.
    static func run(
        _ label: CallLabel, deadline: Duration, through handle: ProxyHandle, isolation: isolated (any Actor)? = #isolation,
        _ body: @escaping @Sendable () async throws -> QiValue
    ) async throws -> QiValue {
        guard !Task.isCancelled else { throw DynamicObject.Interruption(error: cancellation(label)) }
        let call = LocalCall(label, deadline, handle)
        let depth = isolation == nil && MultiThreadedEventLoopGroup.currentEventLoop == nil ? Self.depth + 1 : 0
        LocalCallWatch.shared.began(call)
        await withDiscardingTaskGroup { group in
            if 1...mostDepth ~= depth {
                group.addImmediateTask { await $depth.withValue(depth) { await call.perform(body) } }
            } else {
                group.addTask(executorPreference: globalConcurrentExecutor) { await $depth.withValue(0) { await call.perform(body) } }
            }
        }
        LocalCallWatch.shared.ended(call)
        return try call.result()
    }

    private static func cancellation(_ label: CallLabel) -> QiError { QiError(.cancelled, "the call to \(label) was cancelled") }

    // MARK: - The method's task

    private func perform(_ body: @Sendable () async throws -> QiValue) async {
        await withUnsafeCurrentTask { task in
            if let task { begins(Running(task: task)) }
            let outcome: Result<QiValue, any Error>
            do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
            // By its caller, unless it was interrupted.
            let isCancelled = Task.isCancelled
            let isBeingCancelled = state.withLock { state in
                if isCancelled, state.interruption == nil { state.interruption = Self.cancellation(label) }
                state.outcome = outcome
                state.running = nil
                return state.cancelling > 0
            }
            if isBeingCancelled { await cancelled() }
        }
    }

    private func begins(_ running: Running) {
        let isUnwanted = state.withLock { state in
            state.running = running
            return state.interruption != nil
        }
        if isUnwanted { running.task.cancel() }
    }

    /// Returns when nobody cancels the task any more.
    private nonisolated(nonsending) func cancelled() async {
        await withUnsafeContinuation { continuation in
            let isOver = state.withLock { state in
                if state.cancelling > 0 { state.whenCancelled = continuation }
                return state.cancelling == 0
            }
            if isOver { continuation.resume() }
        }
    }

    // MARK: - Its end from elsewhere

    /// The answer is not wanted any more: the method is cancelled, wherever it is. Of one whose caller was cancelled before, that stays the
    /// reason.
    private func interrupt(_ error: QiError) {
        let running = state.withLock { state -> Running? in
            guard state.outcome == nil, state.interruption == nil else { return nil }
            let isCancelled = state.running?.task.isCancelled ?? false
            state.interruption = isCancelled ? Self.cancellation(label) : error
            if state.running != nil { state.cancelling += 1 }
            return state.running
        }
        guard let running else { return }
        // What the method does at its cancellation is its own, and may take its time: not within the lock, nor on a loop.
        NIOThreadPool.singleton.submit { _ in
            running.task.cancel()
            self.hasCancelled()
        }
    }

    private func hasCancelled() {
        let waiter = state.withLock { state in
            state.cancelling -= 1
            defer { if state.cancelling == 0 { state.whenCancelled = nil } }
            return state.cancelling == 0 ? state.whenCancelled : nil
        }
        waiter?.resume()
    }

    private func result() throws -> QiValue {
        let (outcome, interruption) = state.withLock { ($0.outcome, $0.interruption) }
        if let interruption { throw DynamicObject.Interruption(error: interruption) }
        guard let outcome else { throw CancellationError() }
        return try outcome.get()
    }

    // MARK: - Watching

    /// It lasts: from now on the deadline runs, and the end of its service ends it.
    fileprivate func watch() {
        let end: UInt64
        do throws(QiError) {
            end = try handle.whenEnded { self.interrupt($0) }
        } catch {
            return interrupt(error)
        }
        let timer = LocalCallWatch.clock.scheduleTask(deadline: deadline) {
            self.interrupt(QiError(.timedOut, "timed out after \(self.time.text) waiting for \(self.label)"))
        }
        let isOver = state.withLock { state in
            state.timer = timer
            state.end = end
            return state.isOver
        }
        if isOver { endWatch() }
    }

    fileprivate func endWatch() {
        let (timer, end) = state.withLock { state in
            state.isOver = true
            defer { (state.timer, state.end) = (nil, nil) }
            return (state.timer, state.end)
        }
        timer?.cancel()
        if let end { handle.stopListening(end) }
    }
}

/// The calls within this process that were begun lately. Most end before anybody looks: only what is still there then gets a timer.
private final class LocalCallWatch: Sendable {
    static let shared = LocalCallWatch()
    /// A loop on which nothing else runs that could hold it up. It lives as long as the process does.
    static let clock = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()

    private struct State {
        var calls: [ObjectIdentifier: LocalCall] = [:]
        var isScheduled = false
    }

    private let state = Mutex(State())

    func began(_ call: LocalCall) {
        let mustSchedule = state.withLock { state in
            state.calls[ObjectIdentifier(call)] = call
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if mustSchedule { Self.clock.scheduleTask(in: Bus.patience) { self.look() } }
    }

    func ended(_ call: LocalCall) {
        let wasShort = state.withLock { $0.calls.removeValue(forKey: ObjectIdentifier(call)) != nil }
        if !wasShort { call.endWatch() }
    }

    private func look() {
        let lasting = state.withLock { state in
            state.isScheduled = false
            defer { state.calls.removeAll(keepingCapacity: true) }
            return Array(state.calls.values)
        }
        for call in lasting { call.watch() }
    }
}

/// What errors call a call: the object, if it is to be named, and the method; put together when there is an error.
struct CallLabel: Sendable, CustomStringConvertible {
    var object: String?
    let method: String
    var description: String { object.map { "\($0).\(method)" } ?? method }
}
