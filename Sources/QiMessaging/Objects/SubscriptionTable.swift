import NIOCore
import QiWire

/// Who wants the events of one object's signals: connections by link id (wire reference §15) and closures of this
/// process. An emission is encoded once and appended per subscriber.
struct SubscriptionTable {
    struct Subscriber {
        let connection: Connection
        /// The address under which this connection knows the object.
        let address: ObjectAddress
        let link: UInt64
        /// The tuple signature the subscriber asked for, when it is not the signal's own.
        let wanted: Signature?
        /// What it counts for under a limit.
        var ticket: SubscriptionTicket?

        /// Whether one more event may go out, by the bounds of its connection and by its own.
        func mayQueue(_ bytes: Int) -> Bool {
            guard connection.mayQueueEvent(bytes) else { return false }
            guard let ticket else { return true }
            if let queue = ticket.queue, connection.backlog > 0, connection.backlog + bytes > queue {
                connection.droppedEvent("more than its rule's limit of \(queue) bytes wait")
                return false
            }
            if ticket.mayDeliver(bytes) { return true }
            connection.droppedEvent("its rule's limit for XMPP is used up")
            return false
        }
    }

    typealias LocalSink = (_ payload: ByteBuffer, _ flags: MessageFlags) -> Void

    private struct LocalListener {
        let token: UInt64
        let sink: LocalSink
        let ended: (QiError) -> Void
    }

    private var remote: [UInt32: [Subscriber]] = [:]
    private var local: [UInt32: [LocalListener]] = [:]
    private var nextToken: UInt64 = 1

    func isEmpty(_ signal: UInt32) -> Bool {
        (remote[signal]?.isEmpty ?? true) && (local[signal]?.isEmpty ?? true)
    }

    /// Whether this process listens.
    func hasLocal(_ signal: UInt32) -> Bool { !(local[signal]?.isEmpty ?? true) }

    /// The signals that have a subscriber.
    var signals: Set<UInt32> { Set(remote.keys).union(local.keys) }

    func count(on connection: Connection) -> Int {
        remote.values.reduce(0) { $0 + $1.count { $0.connection === connection } }
    }

    mutating func add(_ subscriber: Subscriber, to signal: UInt32) {
        remote[signal, default: []].append(subscriber)
    }

    /// `ended` runs when the object is gone for good.
    mutating func add(
        to signal: UInt32, ended: @escaping (QiError) -> Void = { _ in }, _ sink: @escaping LocalSink
    ) -> UInt64 {
        defer { nextToken += 1 }
        local[signal, default: []].append(LocalListener(token: nextToken, sink: sink, ended: ended))
        return nextToken
    }

    /// Takes away the subscription of `link`; answers its signal, or nil when there is none.
    mutating func remove(link: UInt64, address: ObjectAddress, on connection: Connection) -> UInt32? {
        for (signal, subscribers) in remote {
            guard let index = subscribers.lastIndex(where: { $0.link == link && $0.connection === connection && $0.address == address })
            else { continue }
            remote[signal]?.remove(at: index)
            if remote[signal]?.isEmpty == true { remote[signal] = nil }
            return signal
        }
        return nil
    }

    mutating func remove(token: UInt64, from signal: UInt32) {
        local[signal]?.removeAll { $0.token == token }
        if local[signal]?.isEmpty == true { local[signal] = nil }
    }

    /// Takes away what this process listens to, and tells it why.
    mutating func endLocal(_ error: QiError) {
        let listeners = local.values.joined()
        local = [:]
        for listener in listeners { listener.ended(error) }
    }

    /// Takes away what `connection` subscribed to under `address`, except of the signals that may stay.
    mutating func removeAll(on connection: Connection, address: ObjectAddress, except mayStay: (UInt32) -> Bool) {
        for (signal, subscribers) in remote where !mayStay(signal) {
            let left = subscribers.filter { $0.connection !== connection || $0.address != address }
            remote[signal] = left.isEmpty ? nil : left
        }
    }

    /// Takes away everything of `connection` (below `address` when given).
    mutating func removeAll(on connection: Connection, address: ObjectAddress? = nil) {
        for (signal, subscribers) in remote {
            let left = subscribers.filter { $0.connection !== connection || (address != nil && $0.address != address) }
            remote[signal] = left.isEmpty ? nil : left
        }
    }

    /// Sends one emission to everybody whom it is not hidden from, or to `recipients` only. `payload` is the signal's parameters tuple as `signature` says (or a dynamic when
    /// `flags` says so); `rewrite`, when given, makes the payload for a connection (objects inside are per connection).
    func emit(
        _ signal: UInt32, _ payload: ByteBuffer, flags: MessageFlags, signature: Signature?,
        only recipients: [Connection]? = nil, rewrite: ((Subscriber) throws -> ByteBuffer)? = nil,
        hiddenFrom: (Connection) -> Bool = { _ in false }
    ) {
        for subscriber in remote[signal] ?? [] {
            if let recipients, !recipients.contains(where: { $0 === subscriber.connection }) { continue }
            if hiddenFrom(subscriber.connection) { continue }
            guard subscriber.mayQueue(payload.readableBytes) else { continue }
            var payload = payload
            var flags = flags
            if let rewrite {
                guard let rewritten = try? rewrite(subscriber) else {
                    subscriber.connection.droppedEvent("an object in an event could not be passed on")
                    continue
                }
                payload = rewritten
            } else if let wanted = subscriber.wanted, let signature, flags.isEmpty,
                let converted = Self.convert(payload, from: signature, to: wanted, for: subscriber.connection)
            {
                payload = converted
                flags = .dynamicPayload
            }
            subscriber.connection.send(
                .event, id: subscriber.connection.newEventID(),
                address: ActionAddress(service: subscriber.address.service, object: subscriber.address.object, action: signal),
                flags: flags, payload: payload)
        }
        if recipients == nil { for entry in local[signal] ?? [] { entry.sink(payload, flags) } }
    }

    /// The emission as a dynamic of the wanted signature; nil when it cannot be converted, then it goes out as it is.
    private static func convert(
        _ payload: ByteBuffer, from signature: Signature, to wanted: Signature, for connection: Connection
    ) -> ByteBuffer? {
        guard connection.shared.messageFlags else { return nil }
        var payload = payload
        guard let value = try? payload.readQi(signature.type, objects: connection.objectCoding),
            let converted = try? value.converted(from: signature.type, to: wanted.type)
        else { return nil }
        var buffer = ByteBuffer()
        let dynamic = QiValue.dynamic(QiDynamic(signature: wanted, value: converted))
        guard (try? buffer.writeQi(dynamic, as: .dynamic, objects: connection.objectCoding)) != nil else { return nil }
        return buffer
    }
}
