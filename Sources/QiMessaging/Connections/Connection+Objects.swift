import NIOCore
import QiWire

/// The objects that the peer reaches on this connection, and those of the peer that we hold or listen to.
extension Connection {
    func bind(_ receiver: any ObjectReceiver, at address: ObjectAddress) { receivers[address] = receiver }

    /// Takes an object away; what the peer had of it, subscriptions and objects sent as values, ends.
    func unbind(_ address: ObjectAddress) {
        lastContext = nil  // it may hold the object
        receivers.removeValue(forKey: address)?.released(address, on: self)
    }

    /// Takes away every object of a service.
    func unbind(service: UInt32) {
        for address in receivers.keys where address.service == service { unbind(address) }
    }

    /// Gives an object that is sent as a value an address of this connection.
    func host(_ receiver: any ObjectReceiver, inService service: UInt32, isPassed: Bool) throws(QiError) -> ObjectAddress {
        // It would never be told of an end that is past.
        guard !isClosed else { throw QiError(.disconnected, "the connection is closed") }
        try checkHosting(1)
        var address: ObjectAddress
        repeat { address = ObjectAddress(service: service, object: numbers.next(isPassed: isPassed)) } while receivers[address] != nil
        receivers[address] = receiver
        return address
    }

    /// Whether so many objects more may be sent as values.
    ///
    /// - Throws: `.limit` when the peer would hold too many. Those whose owner is gone give way before.
    func checkHosting(_ count: Int) throws(QiError) {
        if receivers.count + count <= limits.maximumHostedObjects { return }
        for (address, receiver) in receivers where receiver.isGone { release(address) }
        guard receivers.count + count > limits.maximumHostedObjects else { return }
        throw QiError(.limit, "the peer holds \(receivers.count) objects on this connection, and \(count) more are too many: release some")
    }

    /// The peer dropped its last reference to an object sent as a value (reference §17). A main object cannot be released.
    func release(_ address: ObjectAddress) {
        guard address.object != 1, let receiver = receivers.removeValue(forKey: address) else { return }
        receiver.released(address, on: self)
    }

    /// The same for objects of a message that the peer never gets.
    func release(_ addresses: [ObjectAddress]) {
        for address in addresses { release(address) }
    }

    /// Objects of the peer that this side holds or listens to.
    var objectsHeld: Int { eventSinks.count }

    func setEventSink(_ sink: any EventSink, for address: ObjectAddress) {
        eventSinks[address] = sink
        lastEventSink = nil
    }

    func eventSink(at address: ObjectAddress) -> (any EventSink)? { eventSinks[address] }

    /// Tells the peer that objects of its are not used any more (wire reference §17).
    func terminate(_ addresses: [ObjectAddress]) {
        guard !addresses.isEmpty else { return }
        // Calls and posts of all clients come before it.
        if stream != nil { whenSent { [self] in postTerminate(addresses) } } else { postTerminate(addresses) }
    }

    private func postTerminate(_ addresses: [ObjectAddress]) {
        for address in addresses {
            var payload = ByteBuffer()
            payload.writeQiUInt32(address.service)
            post(ActionAddress(address, action: WellKnownActions.terminate), payload)
        }
    }

    /// The same for objects of the peer that came in a message of which they were not taken, unless they are held all the same. A peer that
    /// sends more of them than it may hold of ours keeps the rest.
    func letGo(_ addresses: [ObjectAddress]) {
        var seen: Set<ObjectAddress> = []
        terminate(addresses.prefix(limits.maximumHostedObjects).filter { seen.insert($0).inserted && eventSinks[$0]?.isHeld != true })
    }

    /// A call of ours with objects in its arguments has its answer. A peer that had no object there has read none of them; any other may
    /// hold them.
    func settleArguments(of answer: Message) {
        guard let given = argumentObjects.removeValue(forKey: answer.id), answer.kind == .error else { return }
        var payload = answer.payload
        if payload.readErrorPayload() == Self.noSuchObject { release(given) }
    }

    /// Takes the sink away, unless another one took its place.
    func removeEventSink(_ sink: any EventSink, for address: ObjectAddress) {
        guard eventSinks[address] === sink else { return }
        eventSinks[address] = nil
        lastEventSink = nil
    }
}
