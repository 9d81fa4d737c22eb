import Logging
import NIOCore
import QiWire

/// An object on the far side of a connection: calls go out, events come in, one subscription per signal whatever the number
/// of listeners here. It also is what other connections are given when they may reach that object through us
/// (`RemoteObject+Relay`). Confined to the bus loop.
///
/// A main object outlives its connection: while the path is down calls fail with `lostError`, and ``attach(to:at:)`` brings
/// it and its subscriptions back on a new one.
final class RemoteObject: EventSink {
    /// How far the subscription of one signal towards the owner is. `isLatest`: the owner was told that only the last event counts.
    private enum Link {
        case subscribing(SignalRegistration<(QiError?) -> Void>)
        case subscribed(UInt64, isLatest: Bool)
    }

    let bus: Bus
    /// What errors call it, e.g. `pepper/ALTextToSpeech`.
    let name: String
    let members: MemberTable
    /// A service's main object; others came as a value and are released when nobody needs them.
    let isMain: Bool
    private(set) var connection: Connection?
    private(set) var address: ObjectAddress
    private(set) var lostError = QiError(.disconnected, "not connected")
    /// What peers are told when the path fails, where they are not to know it; nil: what happened.
    var concealedLoss: QiError?
    let subscriptions = SubscriptionTable()
    /// Gone for good: no path will come back.
    private(set) var isEnded = false
    /// Whether callers of this process wait for a path that is down instead of failing (``Session/Options/gap``).
    var waitsInGap = false
    var attachWaiters = AttachWaiters()
    private var links: [UInt32: Link] = [:]
    private var nextRegistrationCall: UInt64 = 0
    /// Links of signals that the owner has not confirmed to be unregistered.
    private var leaving: [(signal: UInt32, link: UInt64, connection: Connection)] = []
    /// Of an object that came as a value: under how many addresses others hold it.
    private var holders = 0
    /// What it counts for the peer that passed it; nil for one that came otherwise.
    var passed: PassedObject?

    init(
        bus: Bus, name: String, connection: Connection, address: ObjectAddress, metaObject: MetaObject, isMain: Bool = true
    ) {
        self.bus = bus
        self.name = name
        self.address = address
        self.isMain = isMain
        members = MemberTable(metaObject)
        self.connection = nil
        attach(to: connection, at: address)
    }

    var metaObject: MetaObject { members.metaObject }

    /// The metaobject as it is sent, encoded at its first use.
    private(set) lazy var metaObjectBytes: ByteBuffer = {
        var bytes = ByteBuffer()
        metaObject.write(to: &bytes)
        return bytes
    }()

    // MARK: - The path

    /// Uses `connection` from now on, and subscribes there to what somebody here listens to.
    func attach(to connection: Connection, at address: ObjectAddress) {
        detach(lostError)
        self.connection = connection
        self.address = address
        connection.setEventSink(self, for: address)
        for signal in subscriptions.signals { subscribeUpstream(signal) { _ in } }
        for waiter in attachWaiters.removeAll() { waiter(nil) }
    }

    /// Says better than the connection did why there is no path.
    func explainLoss(_ error: QiError) {
        if connection == nil, !isEnded { lostError = error }
    }

    /// The path is gone: calls fail with `error` until the next ``attach(to:at:)``. Where the connection lives on, the owner is told
    /// to send no more events, for the next subscription there would get each of them twice.
    func detach(_ error: QiError) {
        guard let old = connection else { return }
        if !old.isClosed { old.removeEventSink(self, for: address) }
        let pending = links
        links = [:]
        for (signal, link) in pending {
            if case .subscribed(let link, _) = link { unsubscribe(signal, link, on: old) }
        }
        connection = nil
        lostError = error
        for case .subscribing(let registration) in pending.values { for handler in registration.waiting { handler(error) } }
    }

    /// The object is gone for good: calls fail with `error`, and nobody waits for its events any more.
    func end(_ error: QiError) {
        detach(error)
        isEnded = true
        lostError = error
        passed = nil
        subscriptions.endLocal(error)
        for waiter in attachWaiters.removeAll() { waiter(error) }
    }

    /// Nobody needs the object any more: its owner is told (wire reference §17).
    func release() {
        guard !isMain, let connection else { return }
        connection.terminate([address])
        // The owner forgets the subscriptions with the object.
        links = [:]
        end(QiError(.notFound, "\(name) was released"))
    }

    /// Whether any address leads to this object.
    var isHeld: Bool { holders > 0 }

    /// One more address of some connection leads to this object.
    func addHolder() { holders += 1 }

    /// One address less does: after the last one the object is released.
    func removeHolder() {
        holders -= 1
        if holders <= 0 { release() }
    }

    // MARK: - Calls

    /// Calls an action; `completion` runs exactly once. The id belongs to the connection in use now.
    @discardableResult
    func call(
        _ action: UInt32, _ payload: ByteBuffer, flags: MessageFlags = [], deadline: NIODeadline? = nil, for caller: RelayedCaller? = nil,
        terms: CallTerms? = nil, from client: UInt64 = 0, objects: [ObjectAddress] = [], completion: @escaping CallCompletion
    ) -> (connection: Connection, id: UInt32)? {
        call(
            action, payload, flags: flags, end: CallEnd(deadline), for: caller, terms: terms, from: client, objects: objects,
            waiter: .closure(completion))
    }

    /// - Parameter objects: those that were given an address on the connection in use for the arguments alone.
    @discardableResult
    func call(
        _ action: UInt32, _ payload: ByteBuffer, tail: ByteBuffer? = nil, flags: MessageFlags, end: CallEnd,
        late: LateReply? = nil, for caller: RelayedCaller? = nil, terms: CallTerms? = nil, from client: UInt64 = 0,
        objects: [ObjectAddress] = [], waiter: CallWaiter
    ) -> (connection: Connection, id: UInt32)? {
        guard let connection else {
            waiter.ended(.failure(lostError))
            return nil
        }
        guard flags.isEmpty || connection.shared.messageFlags else {
            connection.release(objects)
            waiter.ended(.failure(QiError(.unsupported, "\(name) does not understand dynamic payloads: pass the declared types")))
            return nil
        }
        let id = connection.call(
            ActionAddress(address, action: action), payload, tail: tail, flags: flags, end: end, late: late, for: caller, terms: terms,
            from: client, objects: objects, waiter: waiter)
        return id.map { (connection, $0) }
    }

    func post(
        _ action: UInt32, _ payload: ByteBuffer, tail: ByteBuffer? = nil, flags: MessageFlags = [], for caller: RelayedCaller? = nil,
        from client: UInt64 = 0
    ) {
        connection?.post(ActionAddress(address, action: action), payload, tail: tail, flags: flags, for: caller, from: client)
    }

    // MARK: - Events

    func lost(_ connection: Connection, error: QiError) {
        guard self.connection === connection else { return }
        // An object that came as a value is bound to its connection; a main object may come back on another.
        if isMain { detach(error) } else { end(error) }
    }

    func receivedEvent(_ message: Message, missed: Int) {
        let action = message.address.action
        guard let signal = members.signal(action), let connection else { return }
        if !signal.mayHoldObject, message.flags.isEmpty {
            return subscriptions.emit(
                action, message.payload, flags: [], signature: signal.signature, from: connection, missed: missed)
        }
        let type: QiType = message.flags.contains(.dynamicPayload) ? .dynamic : signal.signature.type
        let coding = connection.objectCoding
        // An event that does not decode is dropped (wire reference §15).
        guard let holdsObject = try? ReferenceRewriting.holdsObject(message.payload, as: type, objects: coding) else { return }
        guard holdsObject else {
            return subscriptions.emit(
                action, message.payload, flags: message.flags, signature: signal.signature, from: connection, missed: missed)
        }
        let passage = ObjectPassage(from: connection, name: name)
        subscriptions.emit(
            action, message.payload, flags: message.flags, signature: signal.signature, from: connection, missed: missed
        ) { subscriber in
            try passage.rewrite(
                message.payload, as: type, to: subscriber.connection, inService: subscriber.address.service,
                isPassed: subscriber.address.isPassed
            ).payload
        }
        // Listeners in this process take what is theirs from the payload.
        if !subscriptions.hasLocal(action) { passage.releaseUnused(in: message.payload, as: type) }
    }

    /// Listens to a signal in this process. `confirmed` runs when the owner has confirmed, or could not.
    ///
    /// - Parameter isLatest: whether only the last event counts.
    func listen(
        to signal: UInt32, isLatest: Bool = false, confirmed: @escaping (QiError?) -> Void, ended: @escaping (QiError) -> Void = { _ in },
        _ sink: @escaping SubscriptionTable.LocalSink
    ) -> UInt64 {
        let token = subscriptions.add(to: signal, isLatest: isLatest, ended: ended, sink)
        subscribeUpstream(signal, confirmed)
        return token
    }

    func stopListening(_ token: UInt64, to signal: UInt32) {
        subscriptions.remove(token: token, from: signal)
        unsubscribeIfUnused(signal)
    }

    /// Sees to it that the owner sends the events of a signal to us, as all who listen to it here allow. `confirmed` runs when it does.
    ///
    /// - Parameter client: the connection that asks for it: its calls that follow do not overtake this.
    func subscribeUpstream(_ signal: UInt32, from client: UInt64 = 0, _ confirmed: @escaping (QiError?) -> Void) {
        guard let connection else { return confirmed(lostError) }
        switch links[signal] {
        case .subscribed(let link, let isLatest):
            // What the others allow is taken back before this one is confirmed.
            guard isLatest, !mayTakeLatest(signal, on: connection) else { return confirmed(nil) }
            register(signal, link, before: true, on: connection, from: client, [confirmed])
        case .subscribing(var registration):
            guard connection.stream != nil, connection.shared.eventGaps else {
                registration.join(confirmed)
                return links[signal] = .subscribing(registration)
            }
            // Said again in the order of this client's calls; the owner knows the link.
            let call = newRegistrationCall()
            registration.add(call: call, confirmed)
            links[signal] = .subscribing(registration)
            tell(signal, registration.link, isLatest: false, on: connection, from: client, call)
        case nil: register(signal, connection.newLink(), before: nil, on: connection, from: client, [confirmed])
        }
    }

    private func isCurrent(_ link: UInt64, of signal: UInt32, on connection: Connection) -> Bool {
        guard self.connection === connection else { return false }
        return switch links[signal] {
        case .subscribing(let registration): registration.link == link
        case .subscribed(link, _): true
        default: false
        }
    }

    /// Whether the owner may be told that only the last event of a signal counts.
    private func mayTakeLatest(_ signal: UInt32, on connection: Connection) -> Bool {
        connection.shared.eventGaps && subscriptions.isLatest(signal)
    }

    private func newRegistrationCall() -> UInt64 {
        defer { nextRegistrationCall += 1 }
        return nextRegistrationCall
    }

    /// - Parameter before: what the owner was told of the link before; nil: nothing.
    private func register(
        _ signal: UInt32, _ link: UInt64, before: Bool?, on connection: Connection, from client: UInt64 = 0, _ waiting: [(QiError?) -> Void]
    ) {
        let (isLatest, call) = (mayTakeLatest(signal, on: connection), newRegistrationCall())
        links[signal] = .subscribing(SignalRegistration(link, isLatest: isLatest, before: before, call: call, waiting))
        tell(signal, link, isLatest: isLatest, on: connection, from: client, call)
    }

    private func tell(_ signal: UInt32, _ link: UInt64, isLatest: Bool, on connection: Connection, from client: UInt64, _ call: UInt64) {
        if connection.stream != nil {
            // Those of before are on their way in the order of other clients, and each event would come by both.
            for old in leaving where old.signal == signal && old.connection === connection {
                unregister(signal, old.link, on: connection, from: client) { _ in }
            }
        }
        connection.call(
            ActionAddress(address, action: WellKnownActions.registerEvent), Self.linkPayload(address, signal, link),
            flags: isLatest ? .latest : [], end: CallEnd(.now() + .seconds(10)), from: client,
            waiter: .closure { [self] answer in subscriptionAnswered(signal, link, isLatest: isLatest, on: connection, call, answer) })
    }

    private func subscriptionAnswered(
        _ signal: UInt32, _ link: UInt64, isLatest: Bool, on connection: Connection, _ call: UInt64, _ answer: CallAnswer
    ) {
        let failure = answer.failure(of: name)
        // The owner may have heard it all the same.
        let isLost = failure?.code == .timedOut
        guard isCurrent(link, of: signal, on: connection) else {
            // No listener is left, and it is there.
            if failure == nil || isLost { unsubscribe(signal, link, on: connection) }
            return
        }
        if let failure {
            bus.logger.debug("registerEvent failed", metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(failure.message)"])
        }
        guard case .subscribing(var registration) = links[signal],
            let outcome = registration.answered(call, isConfirmed: failure == nil, isLost: isLost)
        else {
            if failure == nil || isLost, !isLatest { tellLatestAgain(signal, on: connection) }
            return
        }
        links[signal] = .subscribing(registration)
        switch outcome {
        case .pending: break
        case .failedAlone(let waiting): for handler in waiting { handler(failure) }
        case .again(let waiting): register(signal, link, before: true, on: connection, waiting)
        case .confirmed(let waiting):
            if registration.isLatest, !subscriptions.isEmpty(signal), !mayTakeLatest(signal, on: connection) {
                // One came meanwhile that wants all events.
                return register(signal, link, before: true, on: connection, waiting)
            }
            links[signal] = .subscribed(link, isLatest: registration.isLatest)
            for handler in waiting { handler(nil) }
            unsubscribeIfUnused(signal)
            if !isLatest { tellLatestAgain(signal, on: connection) }
        case .failed(let waiting):
            if let before = registration.before {
                links[signal] = .subscribed(link, isLatest: before || registration.isLatest && registration.mayBeThere)
            } else {
                links[signal] = nil
                if registration.mayBeThere { unsubscribe(signal, link, on: connection) }
            }
            for handler in waiting { handler(failure) }
            // What was refused is not asked for again at once.
            if subscriptions.isEmpty(signal) { unsubscribeIfUnused(signal) }
        }
    }

    /// The owner heard that all events count after it had been told, or before, that only the last one does: it is told that again.
    private func tellLatestAgain(_ signal: UInt32, on connection: Connection) {
        guard self.connection === connection, mayTakeLatest(signal, on: connection) else { return }
        switch links[signal] {
        case .subscribed(let link, isLatest: true): register(signal, link, before: true, on: connection, [])
        case .subscribing(var registration) where registration.isLatest:
            registration.join { [self] failure in if failure == nil { tellLatestAgain(signal, on: connection) } }
            links[signal] = .subscribing(registration)
        default: break
        }
    }

    /// Listeners of a signal are gone: behind the last one the owner need not send any more, and for those that are left the last event may
    /// be all that counts.
    func unsubscribeIfUnused(_ signal: UInt32) {
        guard let connection, case .subscribed(let link, let isLatest) = links[signal] else { return }
        guard subscriptions.isEmpty(signal) else {
            if !isLatest, mayTakeLatest(signal, on: connection) { register(signal, link, before: false, on: connection, []) }
            return
        }
        links[signal] = nil
        unsubscribe(signal, link, on: connection)
    }

    private func unsubscribe(_ signal: UInt32, _ link: UInt64, on connection: Connection) {
        guard !connection.isClosed else { return }
        leaving.append((signal, link, connection))
        unregister(signal, link, on: connection, from: 0) { [self] answer in
            leaving.removeAll { $0.signal == signal && $0.link == link && $0.connection === connection }
            guard let error = answer.failure(of: name) else { return }
            bus.logger.debug("unregisterEvent failed", metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error)"])
        }
    }

    /// A stream's end is the only bound of the time that it takes there: it must not be forgotten while there is no path.
    private func unregister(
        _ signal: UInt32, _ link: UInt64, on connection: Connection, from client: UInt64, _ completion: @escaping CallCompletion
    ) {
        connection.call(
            ActionAddress(address, action: WellKnownActions.unregisterEvent), Self.linkPayload(address, signal, link), flags: [],
            end: connection.stream == nil ? .at(.now() + .seconds(10)) : .never, from: client, waiter: .closure(completion))
    }

    /// The owner sends events of a signal to us already.
    func subscribed(to signal: UInt32, by link: UInt64) { links[signal] = .subscribed(link, isLatest: false) }

    /// The arguments of registerEvent and unregisterEvent.
    static func linkPayload(_ address: ObjectAddress, _ signal: UInt32, _ link: UInt64) -> ByteBuffer {
        var payload = ByteBuffer()
        payload.writeQiUInt32(address.service)
        payload.writeQiUInt32(signal)
        payload.writeInteger(link, endianness: .little)
        return payload
    }
}

extension CallAnswer {
    /// The error this answer is; nil for a reply.
    func failure(of name: String) -> QiError? {
        switch self {
        case .reply: return nil
        case .error(var payload):
            return QiError(wireText: payload.readErrorPayload())
        case .canceled: return QiError(.cancelled, "the call to \(name) was cancelled")
        case .failure(let error): return error
        }
    }
}
