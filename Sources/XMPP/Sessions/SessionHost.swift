import Logging
import NIOCore
import Synchronization

/// The way in to a session: an actor whose executor is the session's thread.
actor SessionHost {
    nonisolated let loop: StropheLoop
    private nonisolated let interruptible = InterruptibleAttempt()
    private nonisolated let contacts: ContactBook
    private nonisolated let timekeeper: any EventLoop
    private nonisolated let outcome = Outcome()
    nonisolated let handlers = ClientHandlers()
    private let session: XMPPSession

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(
        configuration: XMPPConfiguration, delegate: (any XMPPClientDelegate)?, contacts: ContactBook,
        status: ClientStatus, logger: Logger, timekeeper: any EventLoop
    ) {
        self.contacts = contacts
        self.timekeeper = timekeeper
        loop = StropheLoop(name: "xmpp", logger: logger)
        session = XMPPSession(
            configuration: configuration, delegate: delegate, contacts: contacts, status: status, logger: logger,
            timekeeper: timekeeper, loop: loop, interruptible: interruptible, handlers: handlers)
        loop.execute {
            self.assumeIsolated { host in
                host.session.host = host
                host.loop.setTicker(host.session)
            }
        }
    }

    deinit { loop.stop() }

    /// Runs on the session's thread, in order with other work; callable from any thread.
    nonisolated func enqueue(_ work: @escaping @Sendable (XMPPSession) -> Void) {
        loop.execute { self.assumeIsolated { work($0.session) } }
    }

    /// - Parameter reason: what is still under way fails with.
    nonisolated func shutdown(_ reason: String) {
        // The thread may be inside a TLS handshake that never ends, or look up a name where nobody answers.
        interruptible.shutDown()
        enqueue { $0.shutdown(reason) }
        timekeeper.scheduleTask(in: SessionHost.lookUpPatience) { [interruptible, outcome] in
            if interruptible.isLookingUp { outcome.set(.success(())) }
        }
    }

    /// How long a client that is to stop waits for a thread that looks up a name: the system gives up after 5 s to a minute, and nothing
    /// interrupts it. The thread goes on alone: it keeps its loop, session and host until the look-up returns, then ends.
    private static let lookUpPatience: TimeAmount = .seconds(2)

    /// The session's lifetime; peers' requests run as children of the caller's task. Not on the session's thread, which may be held up.
    nonisolated func run() async throws(XMPPError) {
        let (work, continuation) = AsyncStream.makeStream(
            of: (@Sendable () async -> Void).self, bufferingPolicy: .bufferingOldest(256))
        guard outcome.begin({ continuation.finish() }) else {
            if let result = outcome.result { return try result.get() }
            throw XMPPError(.invalidInput, "run() was called twice; make another client.")
        }
        enqueue { [outcome] session in
            session.start(runHandler: { handler in
                if case .enqueued = continuation.yield(handler) { true } else { false }
            }, whenStopped: { outcome.set($0) })
        }
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                for await handler in work { group.addTask(operation: handler) }
                group.cancelAll()
            }
        } onCancel: {
            shutdown("the client was cancelled")
        }
        // A cancelled task leaves the loop above at once; the goodbye to the server takes a little longer.
        try await withCheckedContinuation { continuation in
            outcome.whenSet { continuation.resume(returning: $0) }
        }.get()
    }

    // MARK: Requests

    func request(
        to address: JID?, _ kind: IQRequest.Kind, _ payload: Element, timeout: Duration
    ) async throws(XMPPError) -> Element? {
        let ticket = CancellationTicket<UInt64>()
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<Element?, XMPPError>, Never>) in
                let number = session.request(address, kind, payload, timeout: timeout) { continuation.resume(returning: $0) }
                if let number, ticket.issue(number) { session.cancelRequest(number) }
            }
        } onCancel: {
            if let number = ticket.cancel() { enqueue { $0.cancelRequest(number) } }
        }.get()
    }

    func rawRequest(to address: JID, type: String, children: String) async throws(XMPPError) -> Element? {
        try await withCheckedContinuation { (continuation: CheckedContinuation<Result<Element?, XMPPError>, Never>) in
            session.rawRequest(to: address, type: type, children: children) { continuation.resume(returning: $0) }
        }.get()
    }

    func sendSubscription(
        _ action: XMPPSession.SubscriptionAction, to account: JID, children: [Element] = []
    ) throws(XMPPError) {
        guard session.sendSubscription(action, to: account, children: children) else {
            throw XMPPError(.notConnected, "There is no connection to the server at the moment.")
        }
    }

    func discoInfo(of address: JID) async throws(XMPPError) -> DiscoInfo {
        let resource = contacts.resource(address)
        if let known = resource?.disco ?? resource?.capabilities.flatMap({ session.extensions.capabilities.known($0) }) { return known }
        return try await withCheckedContinuation { (continuation: CheckedContinuation<Result<DiscoInfo, XMPPError>, Never>) in
            session.extensions.capabilities.query(address, resource?.capabilities) { continuation.resume(returning: $0) }
        }.get()
    }

    // MARK: Bytestreams

    func openBytestream(
        to address: JID, application: Element, over transport: BytestreamTransport, on eventLoop: any EventLoop, timeout: Duration,
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(XMPPError) -> OpenBytestream {
        guard session.isOnline else {
            throw XMPPError(.notConnected, "There is no connection to the server at the moment.")
        }
        guard !address.isBare, contacts.isMutual(address.bare) else {
            throw XMPPError(
                .streamRefused, "\(address) is not a connection of a contact. Invite it, and have it approve, first.")
        }
        let ticket = CancellationTicket<JingleSessions.OpeningID>()
        let report = Mutex(BytestreamReport(kind: nil))
        let channel = try await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<any Channel, XMPPError>, Never>) in
                let jingle = session.extensions.bytestreams.jingle
                let plan = ChannelPlan(eventLoop: eventLoop) { channel, way in
                    report.withLock { $0 = way }
                    return initializer(channel)
                } completion: {
                    continuation.resume(returning: $0)
                }
                let opening = jingle.open(
                    to: address, application: application, over: transport, timeout: TimeAmount(timeout), plan: plan)
                if ticket.issue(opening) { jingle.cancelOpening(opening) }
            }
        } onCancel: {
            if let opening = ticket.cancel() { enqueue { $0.extensions.bytestreams.jingle.cancelOpening(opening) } }
        }.get()
        return OpenBytestream(channel: channel, report: report.withLock { $0 })
    }
}

/// What a task cancels: known only after the work has begun, while the cancellation may come at any time.
final class CancellationTicket<ID: Sendable>: Sendable {
    private struct Ticket: Sendable {
        var id: ID?
        var isCancelled = false
    }

    private let ticket = Mutex(Ticket())

    /// The work has begun under that id. True when it is cancelled already.
    func issue(_ id: ID) -> Bool {
        ticket.withLock { ticket in
            ticket.id = id
            return ticket.isCancelled
        }
    }

    /// The task was cancelled. The id to cancel, if the work has begun.
    func cancel() -> ID? {
        ticket.withLock { ticket in
            ticket.isCancelled = true
            return ticket.id
        }
    }
}

/// How a run ended, for one listener, whichever comes first. The first end counts.
private final class Outcome: Sendable {
    private struct State: Sendable {
        var hasBegun = false
        var result: Result<Void, XMPPError>?
        var ended: (@Sendable () -> Void)?
        var listener: (@Sendable (Result<Void, XMPPError>) -> Void)?
    }

    private let state = Mutex(State())

    /// The run begins; `ended` runs once at its end. False when it began before.
    func begin(_ ended: @escaping @Sendable () -> Void) -> Bool {
        let (isFirst, isOver) = state.withLock { state in
            guard !state.hasBegun else { return (false, false) }
            state.hasBegun = true
            state.ended = ended
            return (true, state.result != nil)
        }
        if isOver { ended() }
        return isFirst
    }

    /// How it ended; nil while it runs.
    var result: Result<Void, XMPPError>? { state.withLock { $0.result } }

    func set(_ result: Result<Void, XMPPError>) {
        let (ended, listener) = state.withLock { state -> ((@Sendable () -> Void)?, (@Sendable (Result<Void, XMPPError>) -> Void)?) in
            guard state.result == nil else { return (nil, nil) }
            state.result = result
            return (state.ended, state.listener)
        }
        ended?()
        listener?(result)
    }

    func whenSet(_ listener: @escaping @Sendable (Result<Void, XMPPError>) -> Void) {
        let result = state.withLock { state in
            if state.result == nil { state.listener = listener }
            return state.result
        }
        if let result { listener(result) }
    }
}
