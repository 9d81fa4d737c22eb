import Logging
import NIOCore
import QiWire

/// One connection that speaks qi, in either role: frames in and out, authentication, calls both ways, events. Confined to
/// its bus loop; knows nothing of directories or services, which its owner supplies.
final class Connection {
    enum Role { case client, server }

    let bus: Bus
    let channel: any Channel
    let role: Role
    /// The channel, if it is a device stream.
    let stream: StreamChannel?
    let limits: ConnectionLimits
    let logger: Logger
    /// Set by the transport; a tunnel's is known only when its TLS handshake is done.
    var origin: ConnectionOrigin
    /// Which door it came in by; set with the origin, before the connection opens.
    var zone: Zone
    /// Who the peer has proven to be beyond its origin; set by whoever judged its credentials, before the connection opens.
    var proven: Principal.Identity?
    /// The key it was recognised by (``Principal/fingerprint``), where the origin does not tell it.
    var fingerprint: String?
    /// What is asked before the peer's messages reach a receiver; nil where everything is allowed (`Connection+Access`).
    var filter: (any CallFilter)?
    private(set) var id: UInt64 = 0
    private(set) weak var owner: (any ConnectionOwner)?

    /// Judges a client's credentials; what it returns is added to the answer. Throwing refuses the client.
    typealias Authenticator = (Connection, Capabilities) throws -> Capabilities
    private let authenticator: Authenticator?

    /// Frames of the peer, of which those of one burst may have to wait (``BurstTurn``).
    var decoder: MessageDecoder
    var turn = BurstTurn(at: .now(), .trusted)
    private var handshake: Handshake
    private(set) var isOpen = false
    private(set) var isClosed = false
    /// Why it ended; nil while it has not.
    private(set) var closeReason: CloseReason?
    private var authenticationDeadline: NIODeadline?
    private var openHandlers: [(Result<Void, QiError>) -> Void] = []
    private var closeHandlers: [(CloseReason) -> Void] = []

    /// Calls of ours (`Connection+Calling`).
    var calls = CallTable<CallWaiter>()
    var lateReplies = LateReplies()
    private var incoming = IDTable<IncomingCall>()
    /// Why new calls are refused, as their callers read it; nil while they are served.
    var refusal: String?
    /// Objects that only this connection reaches: looked-up services, objects sent as values.
    var receivers: [ObjectAddress: any ObjectReceiver] = [:]
    /// Objects of the peer (`Connection+Objects`).
    var eventSinks: [ObjectAddress: any EventSink] = [:]
    /// The one that got the last event: it gets the next, as a rule.
    var lastEventSink: (address: ObjectAddress, sink: any EventSink)?
    var numbers = ObjectNumbers()
    var answerObjects = AnswerObjects()
    /// Objects that were given an address for the arguments of a call of ours, by the id of the call, until it is answered.
    var argumentObjects: [UInt32: [ObjectAddress]] = [:]
    /// What the owner of this connection remembers about it.
    var attachment: AnyObject?

    /// Frames that leave when the burst ends (`Connection+Sending`).
    var outbound: ByteBuffer
    var isDirty = false
    /// Bytes handed to the channel so far, and how many of them have left it as far as is known.
    var handedOver = 0
    var departed = 0
    var isReadingPaused = false
    /// What the peer has sent is left until its turn comes, or for a time (``holdReading(for:)``).
    enum Hold { case turn, time }
    var hold: Hold?
    /// Why the channel has ended, while what came before is taken (``inputEnded(_:)``).
    var inputEnd: CloseReason? { didSet { hasInputEnded = inputEnd != nil } }
    /// For every frame asks.
    private(set) var hasInputEnded = false
    /// What methods were told of the call before (``CallContext``), which the next one shares as a rule.
    var lastContext: AnyObject?
    var nextEventIDValue: UInt32 = 0x8000_0001
    var nextLink: UInt64 = 1
    var lastReceived = NIODeadline.now()
    var turnIsDue = true
    /// Where it waits for its turn, also when its channel has ended; nil for the queue of its bus.
    var turnGiver: (any TurnGiver)?
    var eventsDropped = 0
    var postsRunning = 0
    var argumentBytes = ArgumentBytes()
    /// Only on unix sockets between processes of one user.
    private(set) var sharedMemory: SharedMemoryLink?
    var relayedCallers = RelayedCallers()
    var callTerms = CallTermsTable()
    /// What the peer listens to, on all objects.
    var subscriptions = 0
    /// Objects of the peer in use elsewhere that it passed in arguments (``PassedObject``).
    var objectsPassed = 0

    init(
        bus: Bus, channel: any Channel, role: Role, origin: ConnectionOrigin, owner: (any ConnectionOwner)?,
        limits: ConnectionLimits = ConnectionLimits(), credentials: Capabilities = Capabilities(),
        authenticator: Authenticator? = nil
    ) {
        self.bus = bus
        self.channel = channel
        stream = channel as? StreamChannel
        self.role = role
        self.origin = origin
        // Where we call ourselves is our own choice.
        zone = role == .client && origin.device == nil ? .internal : origin.zone
        self.owner = owner
        self.limits = limits
        self.logger = bus.logger
        // Before the handshake a peer has nothing big to say.
        decoder = MessageDecoder(maximumPayload: min(limits.maximumPayload, Capabilities.maximumBytes))
        self.authenticator = authenticator
        handshake = Handshake(
            role: role == .client ? .client : .server, capabilities: Self.capabilities(origin, limits: limits),
            credentials: credentials, enforcesAuthentication: authenticator != nil)
        outbound = channel.allocator.buffer(capacity: 4096)
        if handshake.localCapabilities.isEnabled(SharedMemoryMessages.capability) {
            sharedMemory = SharedMemoryLink(limits: limits)
        }
    }

    var shared: SharedCapabilities { handshake.shared }
    var objectCoding: ObjectCoding { handshake.shared.objectCoding }

    // MARK: - Life

    /// The channel is up: a client says hello, a server starts its clock.
    func activate() {
        guard id == 0, !isClosed else { return }
        id = bus.register(self)
        authenticationDeadline = .now() + limits.authenticationTimeout
        bus.needTimer()
        guard role == .client else { return }
        do {
            let payload = try handshake.start()
            send(.call, id: 1, address: .authenticate, payload: payload)
        } catch {
            close(.invalid(error.message))
        }
    }

    /// Calls back when the connection may be used, or cannot any more.
    func whenOpen(_ handler: @escaping (Result<Void, QiError>) -> Void) {
        if isOpen { return handler(.success(())) }
        if isClosed { return handler(.failure(QiError(.disconnected, "the connection is closed"))) }
        openHandlers.append(handler)
    }

    /// Calls back when the connection has ended.
    func whenClosed(_ handler: @escaping (CloseReason) -> Void) {
        if let closeReason { return handler(closeReason) }
        closeHandlers.append(handler)
    }

    /// Ends the connection: everything that waits on it fails with the error of `reason`, its objects are released.
    func close(_ reason: CloseReason) {
        guard !isClosed else { return }
        flush()
        // First, for a socket says at once that it has ended, and knows no reason.
        ended(reason)
        channel.close(promise: nil)
    }

    /// The channel is gone.
    func ended(_ reason: CloseReason) {
        guard !isClosed else { return }
        isClosed = true
        closeReason = reason
        isOpen = false
        let error = reason.error
        bus.forget(id)
        sharedMemory?.ended()
        for entry in calls.removeAll() { entry.completion.ended(.failure(error)) }
        lateReplies = LateReplies()
        // It leads back here.
        lastContext = nil
        let pending = incoming.removeAll()
        for call in pending {
            call.isAwaited = false
            call.abandon()
        }
        dropAllArguments()
        let bound = receivers
        receivers = [:]
        answerObjects = AnswerObjects()
        argumentObjects = [:]
        let sinks = eventSinks
        eventSinks = [:]
        lastEventSink = nil
        for receiver in bound.values { receiver.closed(self) }
        for sink in sinks.values { sink.lost(self, error: error) }
        owner?.closed(self, reason)
        let waiting = openHandlers
        openHandlers = []
        for handler in waiting { handler(.failure(error)) }
        let handlers = closeHandlers
        closeHandlers = []
        for handler in handlers { handler(reason) }
    }

    /// Ends what has waited too long; answers whether there is more to watch.
    func expire(_ now: NIODeadline) -> Bool {
        if let deadline = authenticationDeadline, deadline <= now, !isOpen {
            close(.silent(QiError(.timedOut, "the peer did not authenticate within \(limits.authenticationTimeout)")))
            return false
        }
        for id in calls.expired(at: now) {
            abandon(id, QiError(.timedOut, "no answer before the deadline"))
        }
        return calls.deadlines > 0 || (authenticationDeadline != nil && !isOpen)
    }

    /// The channel goes on over another path.
    func moved(to path: PathKind) {
        guard origin.path != path else { return }
        origin = ConnectionOrigin(by: path, from: origin.host, proven: origin.identity)
        filter?.moved(to: origin)
    }

    // MARK: - Receiving

    func dispatch(_ message: Message) {
        switch message.kind {
        case .reply, .error, .canceled: answerReceived(message)
        case .event: eventReceived(message)
        case .call: callReceived(message)
        case .post:
            guard message.header.version == 0 else { return }
            if message.address.target == .connection { return receivedAboutItself(message) }
            guard let receiver = receiver(for: message.address.target) else {
                filter?.notFound(message.address, isPost: true)
                return
            }
            guard mayBeginCall else {
                IncomingCall(connection: self, message: message).releaseArguments(of: receiver.memberTable)
                return droppedCut(message)
            }
            hand(incomingCall(message), to: receiver)
        case .cancel:
            var payload = message.payload
            guard let id = try? payload.readQiUInt32() else { return }
            guard let call = incoming[id], call.address.target == message.address.target else {
                return withdrawAnswer(to: id, of: message.address.target)
            }
            call.cancel()
        case .capability: handle(message)
        default: break
        }
    }

    private func eventReceived(_ message: Message) {
        let target = message.address.target
        let sink: any EventSink
        if let lastEventSink, lastEventSink.address == target {
            sink = lastEventSink.sink
        } else {
            guard let known = eventSinks[target] else { return }
            lastEventSink = (target, known)
            sink = known
        }
        guard !message.flags.isDisjoint(with: [.gap, .latest]) else { return sink.receivedEvent(message, missed: 0) }
        var payload = message.payload
        // Of a peer that does not know them they mean nothing.
        let missed = shared.eventGaps && message.flags.contains(.gap) ? EventGap.take(from: &payload) : 0
        guard let missed else { return logger.debug("event dropped: the number of those left out is cut short") }
        let flags = message.flags.subtracting([.gap, .latest])
        sink.receivedEvent(
            Message(kind: .event, id: message.id, address: message.address, flags: flags, payload: payload), missed: missed)
    }

    private func callReceived(_ message: Message) {
        // Two outstanding calls with one id: the first is answered with an Error, as libqi does (reference §29). One that a policy judges
        // would not be counted any more, while its owner goes on with it: there the second is.
        if !incoming.isEmpty, let first = incoming[message.id] {
            if filter != nil { return refuse(message, "another call with the id \(message.id) waits for its answer: use another id") }
            first.cancel()
            first.fail("another call with the id \(message.id) took the place of this one")
        }
        guard message.header.version == 0 else {
            return refuse(
                message,
                "Cannot negotiate QiMessaging connection: remote end doesn't support binary protocol v\(message.header.version)")
        }
        let target = message.address.target
        if target == .connection { return handle(message) }
        if let refusal, !isPartOfWork(message.address) { return refuse(message, refusal) }
        let owner = owner
        let known = receivers.isEmpty ? nil : receivers[target]
        guard let receiver = known ?? owner?.receiver(for: target, on: self) else {
            filter?.notFound(message.address, isPost: false)
            return refuse(message, Self.noSuchObject)
        }
        guard incoming.count < limits.maximumCallsInFlight, owner?.mayServeCall(on: self) ?? true else {
            let most = limits.maximumCallsInFlight
            let refusal = QiError(.limit, "too many calls in flight on this connection (\(most)): wait for answers")
            return refuse(message, refusal.wireText, receiver)
        }
        guard mayBeginCall else {
            let most = limits.maximumCallsInFlight
            let refusal = QiError(.limit, "too many calls in flight on your connections (\(most)): wait for answers")
            return refuse(message, refusal.wireText, receiver)
        }
        // A stream has a bound on results, which is looked at where a call is answered in the usual way.
        if filter == nil, message.flags.isEmpty, stream == nil, callTerms.isEmpty, relayedCallers.announced == nil,
            receiver.serveAtOnce(message, on: self)
        {
            return
        }
        if let reason = refusal(ofArguments: message.payload.readableBytes) { return refuse(message, reason, receiver) }
        let call = incomingCall(message)
        hand(call, to: receiver)
        // Most calls of methods that stay on the loop have their answer by now.
        if !call.isAnswered, !isClosed {
            incoming.insert(call, at: message.id)
            call.isAwaited = true
            keepArguments(call.payload.readableBytes)
        } else if isClosed {
            call.abandon()
        }
    }

    /// What a receiver gets. One that a policy judges is counted for as long as somebody serves it.
    private func incomingCall(_ message: Message) -> IncomingCall {
        guard filter != nil else { return IncomingCall(connection: self, message: message) }
        let call = IncomingCall(connection: self, message: message.compacted())
        if let meter = argumentBytes.meter { call.count(in: meter) }
        return call
    }

    /// Whether the principal may have one more call or post in work, over all its connections.
    private var mayBeginCall: Bool { argumentBytes.meter.map { $0.calls < limits.maximumCallsInFlight } ?? true }

    /// - Parameter receiver: the object that it is for, which says what its arguments are.
    private func refuse(_ message: Message, _ text: String, _ receiver: (any ObjectReceiver)? = nil) {
        IncomingCall(connection: self, message: message).refuse(text, by: receiver?.memberTable)
    }

    static let noSuchObject = "The call request could not be handled."

    /// Lets a call or post reach its receiver, if it may: a Post is dropped if not, a call to a hidden object is answered what one to no
    /// object is.
    func hand(_ call: IncomingCall, to receiver: any ObjectReceiver) {
        guard let filter else { return receiver.receive(call) }
        switch filter.judge(call, receiver, service: owner?.serviceName(of: call.address.service, on: self)) {
        case .pass: receiver.receive(call)
        // Objects in its arguments stay with the peer: letting go of them would tell that the service is there.
        case .hidden: call.fail(Self.noSuchObject)
        case .refused(let reason): call.refuse(reason, by: receiver.memberTable)
        }
    }

    /// The objects that only this connection reaches.
    var bound: [ObjectAddress: any ObjectReceiver] { receivers }

    private func receiver(for address: ObjectAddress) -> (any ObjectReceiver)? {
        receivers[address] ?? owner?.receiver(for: address, on: self)
    }

    /// An answer repeats id, service, object and action of its call (reference §5); one that does not is nobody's.
    private func answerReceived(_ message: Message) {
        guard let entry = calls.remove(message.id, sentTo: message.address) else { return lateReplies.received(message) }
        if !argumentObjects.isEmpty { settleArguments(of: message) }
        switch message.kind {
        case .reply: entry.completion.ended(.reply(message.payload, flags: message.flags))
        case .error: entry.completion.ended(.error(message.payload))
        default: entry.completion.ended(.canceled)
        }
    }

    /// Calls of the peer that we have not answered.
    var incomingCalls: Int { incoming.count }

    /// Whether a call is taken although new ones are refused: the peer serves a call of ours, here or elsewhere, uses an object that it was
    /// passed, or only ends or finishes something.
    private func isPartOfWork(_ address: ActionAddress) -> Bool {
        if calls.count > 0 || address.target.isPassed || owner?.isServed(by: self) == true { return true }
        switch address.action {
        case WellKnownActions.unregisterEvent, WellKnownActions.terminate: return true
        case WellKnownActions.unregisterService, WellKnownActions.serviceReady: return address.target == .serviceDirectory
        default: return false
        }
    }

    /// Ends the connection behind what was sent on it. `progress` runs with true when that has left the channel, or cannot any more, and
    /// with false when the channel has ended.
    func closeInOrder(_ reason: CloseReason, _ progress: @escaping (Bool) -> Void) {
        channel.closeFuture.assumeIsolated().whenComplete { _ in progress(false) }
        whenSent { [weak self] in
            progress(true)
            self?.close(reason)
        }
    }

    /// Calls back when what was sent so far has left the channel, or cannot any more.
    func whenSent(_ handler: @escaping () -> Void) {
        flush()
        // Nothing, behind all else: the promise tells when that has left.
        let written = channel.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in handler() }
        channel.pipeline.syncOperations.writeAndFlush(NIOAny(ByteBuffer()), promise: written)
    }

    /// Whether a call or post of the peer is in work, or an answer has not left.
    var isBusy: Bool { !incoming.isEmpty || postsRunning > 0 || backlog > 0 }

    func answered(_ call: IncomingCall) {
        guard call.isAwaited else { return }
        call.isAwaited = false
        incoming.remove(call.header.id)
        dropArguments(call.payload.readableBytes)
    }

    // MARK: - Handshake

    /// What the peer advertised, with the credentials it sent.
    var remoteCapabilities: Capabilities { handshake.remoteCapabilities }

    func handle(_ message: Message) {
        switch handshake.received(message) {
        case .ready: opened()
        case .reply(let payload):
            send(.reply, id: message.id, address: message.address, payload: payload)
            if !isOpen { opened() }
        case .openBySendingCapabilities(let payload):
            send(.capability, id: newEventID(), address: ActionAddress(.connection, action: 0), payload: payload)
            opened()
        case .refuse(let payload): send(.error, id: message.id, address: message.address, payload: payload)
        case .judge(let given): judge(given, message)
        case .refuseAndFail(let payload, let error):
            if message.kind == .call { send(.error, id: message.id, address: message.address, payload: payload) }
            close(.refused(QiError(.denied, error.message)))
        case .record, .ignore: break
        case .pass: break
        case .fail(let error): close(.refused(QiError(.denied, error.message)))
        }
    }

    private func judge(_ given: Capabilities, _ message: Message) {
        do {
            let answer = try authenticator?(self, given) ?? Capabilities()
            let payload = try handshake.accept(adding: answer)
            send(.reply, id: message.id, address: message.address, payload: payload)
            opened()
        } catch {
            let reason = (error as? QiError)?.message ?? (error as? WireError)?.message ?? "\(error)"
            send(.error, id: message.id, address: message.address, payload: handshake.reject(reason: reason))
            close(.refused(QiError(.denied, reason)))
        }
    }

    private func opened() {
        isOpen = true
        decoder.maximumPayload = limits.maximumPayload
        stream?.loggedIn()
        authenticationDeadline = nil
        sharedMemory?.opened(handshake.remoteCapabilities)
        relayedCallers.areTold = tellsCallers(handshake.remoteCapabilities)
        callTerms.areTold = Self.announcesTerms(origin) && handshake.remoteCapabilities.isEnabled(CallTermsTable.capability)
        owner?.opened(self)
        let handlers = openHandlers
        openHandlers = []
        for handler in handlers { handler(.success(())) }
    }
}
