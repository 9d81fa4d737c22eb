import NIOCore
import QiWire

/// Calls and posts of ours to the peer.
extension Connection {
    /// Calls an action of the peer. `completion` runs exactly once, on the loop; the id is for ``cancel(_:)``. `late` is told of a reply
    /// that comes when the call was given up: objects in it are to be released.
    @discardableResult
    func call(
        _ address: ActionAddress, _ payload: ByteBuffer, flags: MessageFlags = [], deadline: NIODeadline? = nil,
        late: LateReply? = nil, completion: @escaping CallCompletion
    ) -> UInt32? {
        call(address, payload, flags: flags, end: CallEnd(deadline), late: late, waiter: .closure(completion))
    }

    /// - Parameter objects: those that were given an address on this connection for the arguments alone: they are given up when the peer
    ///   never gets the call.
    @discardableResult
    func call(
        _ address: ActionAddress, _ payload: ByteBuffer, tail: ByteBuffer? = nil, flags: MessageFlags, end: CallEnd,
        late: LateReply? = nil, for caller: RelayedCaller? = nil, terms: CallTerms? = nil, from client: UInt64 = 0,
        objects: [ObjectAddress] = [], waiter: CallWaiter
    ) -> UInt32? {
        guard !isClosed else {
            waiter.ended(.failure(QiError(.disconnected, "the connection is closed")))
            return nil
        }
        let bytes = payload.readableBytes + (tail?.readableBytes ?? 0)
        if let refusal = stream?.path?.refusal(of: "the arguments", bytes: bytes, under: terms, at: .now()) {
            release(objects)
            waiter.ended(.failure(refusal))
            return nil
        }
        guard let id = calls.insert(waiter, address: address, end: end, late: late) else {
            release(objects)
            waiter.ended(.failure(QiError(.limit, "65536 calls are in flight on this connection: wait for answers")))
            return nil
        }
        switch end {
        case .never: break
        case .at: bus.needTimer()
        case .within, .by: bus.needPatience()
        }
        if !objects.isEmpty { argumentObjects[id] = objects }
        if let terms, callTerms.areTold { tell(terms, of: id) }
        if let caller { tell(caller, of: id) }
        send(.call, id: id, address: address, flags: flags, payload: payload, tail: tail, from: client)
        return id
    }

    func post(
        _ address: ActionAddress, _ payload: ByteBuffer, tail: ByteBuffer? = nil, flags: MessageFlags = [],
        for caller: RelayedCaller? = nil, from client: UInt64 = 0
    ) {
        let id = newEventID()
        if let caller { tell(caller, of: id) }
        send(.post, id: id, address: address, flags: flags, payload: payload, tail: tail, from: client)
    }

    /// Asks the peer to cancel a call, which still gets its own answer. Nothing is sent to a peer that does not know how.
    func cancel(_ id: UInt32) {
        handOverCalls()
        guard let address = calls.address(of: id) else { return }
        if stream?.withdraw(callOf: id, to: address.target) == true {
            withdrawn(id)
            return calls.remove(id)?.completion.ended(.canceled) ?? ()
        }
        sendCancel(id, address)
    }

    /// What was sent in this burst goes to the stream, where it can be withdrawn: a cancellation would overtake it.
    private func handOverCalls() {
        if stream != nil { flush() }
    }

    /// Gives up a call: asks the peer to cancel it and ends it here and now.
    func abandon(_ id: UInt32, _ error: QiError) {
        handOverCalls()
        guard let entry = calls.remove(id) else { return }
        if stream?.withdraw(callOf: id, to: entry.address.target) == true {
            withdrawn(id)
            return entry.completion.ended(.failure(error))
        }
        argumentObjects[id] = nil
        sendCancel(id, entry.address)
        if let late = entry.late { lateReplies.expect(id, entry.address, late) }
        entry.completion.ended(.failure(error))
    }

    /// The peer never gets that call of ours, or not all of it.
    private func withdrawn(_ id: UInt32) {
        tellNoTerms(of: id)
        if let given = argumentObjects.removeValue(forKey: id) { release(given) }
    }

    /// Gives up a call without a word to its caller, who makes it elsewhere. Answers whether it is known not to have reached the peer's
    /// object.
    func takeBack(_ id: UInt32) -> Bool {
        handOverCalls()
        guard let entry = calls.remove(id) else { return false }
        if stream?.withdraw(callOf: id, to: entry.address.target) == true {
            withdrawn(id)
            return true
        }
        argumentObjects[id] = nil
        sendCancel(id, entry.address)
        return false
    }

    /// Calls that have waited for some time get their deadlines, and their callers are told that it takes longer.
    func mature(_ now: NIODeadline) {
        var lasting: [(task: UnsafeContinuation<CallFlight.Begun, Never>, flight: CallFlight)] = []
        calls.mature(at: now) { id, waiter in
            guard case .task(let task) = waiter else { return waiter }
            let flight = CallFlight()
            _ = flight.sent(self.id, id)
            lasting.append((task, flight))
            return .flight(flight)
        }
        for (task, flight) in lasting { task.resume(returning: .lasting(flight)) }
    }

    private func sendCancel(_ id: UInt32, _ address: ActionAddress) {
        guard shared.remoteCancelableCalls else { return }
        var payload = ByteBuffer()
        payload.writeQiUInt32(id)
        send(.cancel, id: newEventID(), address: ActionAddress(address.target, action: 0), payload: payload)
    }

    /// Calls of ours that wait for an answer.
    var callsInFlight: Int { calls.count }
}
