import NIOCore
import QiWire

/// A remote object as others reach it through us. Message, service, object and link ids are per connection, so each leg has
/// its own; payloads pass byte for byte unless they hold an object (wire reference §25).
extension RemoteObject: ObjectReceiver {
    func receive(_ call: IncomingCall) {
        switch call.address.action {
        // Posted ones too: the owner's leg has link ids of its own, which none of ours may touch.
        case WellKnownActions.registerEvent, WellKnownActions.registerEventWithSignature: return subscribe(call)
        case WellKnownActions.unregisterEvent: return unsubscribe(call)
        case WellKnownActions.metaObject: return describe(call)
        case WellKnownActions.terminate:
            call.reply(ByteBuffer())
            // A main object cannot be released by its users.
            if !isMain { call.connection.release(call.address.target) }
        default: forward(call)
        }
    }

    func closed(_ connection: Connection) {
        let before = subscriptions.signals
        subscriptions.removeAll(on: connection)
        for signal in before { unsubscribeIfUnused(signal) }
        // Called once for each address that led here.
        if !isMain { removeHolder() }
    }

    func released(_ address: ObjectAddress, on connection: Connection) {
        let before = subscriptions.signals
        subscriptions.removeAll(on: connection, address: address)
        for signal in before { unsubscribeIfUnused(signal) }
        if !isMain { removeHolder() }
    }

    var memberTable: MemberTable? { members }
    var isGone: Bool { isEnded }

    func isSubscribed(_ link: UInt64, to signal: UInt32, at address: ObjectAddress, on connection: Connection) -> Bool {
        subscriptions.known(link: link, address: address, on: connection, of: signal) != nil
    }

    func endSubscriptions(on connection: Connection, at address: ObjectAddress, except mayStay: (String) -> Bool) {
        let before = subscriptions.signals
        subscriptions.removeAll(on: connection, address: address) { members.signal($0).map { mayStay($0.meta.name) } ?? false }
        for signal in before { unsubscribeIfUnused(signal) }
    }

    // MARK: - Forwarding

    private func forward(_ call: IncomingCall) {
        let action = call.address.action
        if call.isPost, members.signal(action) == nil, members.method(action) == nil { return }
        let method = members.method(action)
        if !call.isPost, method == nil {
            return call.fail("No such method {\(call.address), id:\(call.header.id)}")
        }
        guard let upstream = connection else {
            if call.mover?.takes(call, after: .failure(lostError), of: self, isLost: true) != true {
                call.refuse(pathError(lostError), by: members)
            }
            return
        }
        guard upstream.mayForward(call.payload.readableBytes, from: call.connection.id) else {
            let refusal = QiError(.limit, "\(name): too many bytes wait for the way there: wait for answers")
            return call.refuse(refusal.wireText, by: members)
        }
        guard call.header.flags.isEmpty || upstream.shared.messageFlags else {
            let refusal = QiError(.unsupported, "\(name) does not understand dynamic payloads: pass the declared types")
            return call.refuse(refusal.wireText, by: members)
        }
        let parameters = method?.parameters.type ?? members.signal(action)?.signature.type ?? .dynamic
        do {
            let (payload, given) = try outgoing(call, as: call.header.flags.contains(.dynamicPayload) ? .dynamic : parameters, upstream)
            let caller = upstream.relayedCallers.areTold ? call.callerFromOutside : nil
            if call.isPost { return post(action, payload, flags: call.header.flags, for: caller, from: call.connection.id) }
            let sent = self.call(
                action, payload, flags: call.header.flags, for: caller, terms: call.terms, from: call.connection.id, objects: given
            ) { [self] answer in
                answered(call, answer, method, upstream)
            }
            guard let sent else { return }
            call.mover?.sent(call, on: sent.connection, as: sent.id)
            call.onCancel = { sent.connection.cancel(sent.id) }
        } catch {
            call.fail(error.callText)
        }
    }

    /// The arguments for the owner's leg, where objects passed to us are re-hosted, and the addresses they have there.
    private func outgoing(
        _ call: IncomingCall, as type: QiType, _ upstream: Connection
    ) throws -> (payload: ByteBuffer, given: [ObjectAddress]) {
        guard try ReferenceRewriting.holdsObject(call.payload, as: type, objects: call.connection.objectCoding) else {
            return (call.payload, [])
        }
        let passage = ObjectPassage(from: call.connection, name: name, areArguments: true)
        do {
            // Each side of a conversation numbers its objects in a range of its own (reference §5).
            return try passage.rewrite(
                call.payload, as: type, to: upstream, inService: address.service, isPassed: !address.isPassed)
        } catch {
            passage.releaseUnused(in: call.payload, as: type)
            throw error
        }
    }

    private func answered(_ call: IncomingCall, _ answer: CallAnswer, _ method: MemberTable.Method?, _ upstream: Connection) {
        if call.mover?.takes(call, after: answer, of: self, isLost: isLost) == true { return }
        switch answer {
        case .reply(let payload, let flags):
            let type: QiType = flags.contains(.dynamicPayload) ? .dynamic : method?.returns.type ?? .dynamic
            do {
                guard try ReferenceRewriting.holdsObject(payload, as: type, objects: upstream.objectCoding) else {
                    return call.reply(payload, flags: flags)
                }
                let passage = ObjectPassage(from: upstream, name: name)
                // Whoever asked is gone, or refused what came: the objects are nobody's.
                defer { passage.releaseUnused(in: payload, as: type) }
                guard !call.isAnswered else { return }
                let conversation = call.address.target
                let rewritten = try passage.rewrite(
                    payload, as: type, to: call.connection, inService: conversation.service, isPassed: conversation.isPassed)
                call.reply(rewritten.payload, flags: flags, objects: rewritten.given)
            } catch {
                let reason = (error as? WireError)?.message ?? (error as? QiError)?.message ?? "\(error)"
                call.fail("\(name) answered something that cannot be passed on: \(reason)")
            }
        case .error(let payload): call.fail(payload: payload)
        case .canceled: call.confirmCancellation()
        case .failure(let error): call.fail(pathError(error))
        }
    }

    private var isLost: Bool { connection?.isClosed ?? true }

    private func pathError(_ error: QiError) -> String {
        let told = (error.isRetryable ? concealedLoss : nil) ?? error
        return QiError(told.code, "\(name): \(told.message)").wireText
    }

    // MARK: - Generic members answered here

    private func describe(_ call: IncomingCall) { call.reply(metaObjectBytes) }

    private static func genericArguments(of call: IncomingCall) throws(WireError) -> [QiValue] {
        guard let method = MemberTable.generic.method(call.address.action) else {
            throw WireError(.resolution, "No such method {\(call.address), id:\(call.header.id)}")
        }
        return try CallPayload(of: call, method).arguments
    }

    private func subscribe(_ call: IncomingCall) {
        do {
            let arguments = try Self.genericArguments(of: call)
            guard let signalID = arguments[1].asUInt32, let signal = members.signal(signalID) else {
                return call.fail("No such signal")
            }
            let (link, target, isLatest) = (arguments[2].asLink, call.address.target, call.header.flags.contains(.latest))
            let known = subscriptions.renew(link: link, address: target, on: call.connection, of: signalID, isLatest: isLatest)
            let subscriber: SubscriptionTable.Subscriber
            if let known {
                subscriber = known
            } else {
                try call.connection.checkSubscriptions()
                var wanted: Signature?
                if arguments.count > 3, let text = arguments[3].asString, text != signal.signature.text { wanted = try Signature(text) }
                subscriber = SubscriptionTable.Subscriber(
                    connection: call.connection, address: target, link: link, wanted: wanted, ticket: call.subscription,
                    isLatest: isLatest, isConfirmed: false)
                subscriptions.add(subscriber, to: signalID)
            }
            subscribeUpstream(signalID, from: call.connection.id) { [self] error in
                if let error {
                    if known == nil { _ = subscriptions.remove(link: link, address: target, on: call.connection) }
                    if call.mover?.takes(call, after: .failure(error), of: self, isLost: isLost) == true { return }
                    return call.fail(pathError(error))
                }
                var payload = ByteBuffer()
                payload.writeInteger(link, endianness: .little)
                subscriber.isConfirmed = true
                call.reply(payload)
            }
            // It may be the last one to allow that only the last event counts.
            if known != nil { unsubscribeIfUnused(signalID) }
        } catch {
            call.fail(error.callText)
        }
    }

    private func unsubscribe(_ call: IncomingCall) {
        do {
            let arguments = try Self.genericArguments(of: call)
            let link = arguments[2].asLink
            if link != .max {
                guard let signal = subscriptions.remove(link: link, address: call.address.target, on: call.connection) else {
                    return call.fail("Unregister request failed for \(link) \(call.address.object)")
                }
                unsubscribeIfUnused(signal)
            }
            call.reply(ByteBuffer())
        } catch {
            call.fail(error.message)
        }
    }
}

extension MemberTable {
    static let generic = MemberTable(.generic)
}
