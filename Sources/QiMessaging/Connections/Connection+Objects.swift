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
        guard receivers.count < limits.maximumHostedObjects else {
            throw QiError(.limit, "the peer holds \(receivers.count) objects on this connection: release some")
        }
        var address: ObjectAddress
        repeat { address = ObjectAddress(service: service, object: numbers.next(isPassed: isPassed)) } while receivers[address] != nil
        receivers[address] = receiver
        return address
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

    /// Takes the sink away, unless another one took its place.
    func removeEventSink(_ sink: any EventSink, for address: ObjectAddress) {
        guard eventSinks[address] === sink else { return }
        eventSinks[address] = nil
        lastEventSink = nil
    }
}
