import NIOCore
import QiWire

/// Who wants the events of one object's signals: connections by link id (wire reference §15) and closures of this
/// process. An emission is encoded once and appended per subscriber. Confined to the bus loop.
final class SubscriptionTable {
    final class Subscriber {
        let connection: Connection
        /// The address under which this connection knows the object.
        let address: ObjectAddress
        let link: UInt64
        /// The tuple signature the subscriber asked for, when it is not the signal's own.
        let wanted: Signature?
        /// What it counts for under a limit.
        let ticket: SubscriptionTicket?
        /// Whether only the last event counts for it.
        fileprivate(set) var isLatest: Bool
        /// Whether its peer has the answer to its subscription, or is about to; no event comes before.
        var isConfirmed: Bool
        /// Whether no other subscription of its connection gets the same events: they could not be told apart.
        fileprivate var isAlone = true
        /// Events that were left out since the last one that was sent.
        private var missed = 0
        private let meter: ArgumentMeter?

        init(
            connection: Connection, address: ObjectAddress, link: UInt64, wanted: Signature?, ticket: SubscriptionTicket?, isLatest: Bool,
            isConfirmed: Bool = true
        ) {
            self.connection = connection
            self.address = address
            self.link = link
            self.wanted = wanted
            self.ticket = ticket
            self.isLatest = isLatest && connection.shared.eventGaps
            self.isConfirmed = isConfirmed
            meter = connection.argumentBytes.meter
            meter?.subscribed()
            connection.subscriptions += 1
        }

        deinit {
            meter?.unsubscribed()
            connection.subscriptions -= 1
        }

        /// Whether a later event may take the place of one that waits: only where events wait in a queue of ours.
        private var isReplacing: Bool { isLatest && isAlone && connection.stream != nil }

        /// So many events were left out, and its peer is told with the next one.
        func leftOut(_ count: Int) { missed = EventGap.sum(missed, count) }

        /// Whether one more event may go out, by the bounds of its connection and by its own.
        ///
        /// - Parameter holdsObjects: whether it holds objects that are hosted for this peer: it is never left out once it is queued.
        func mayQueue(_ bytes: Int, of signal: UInt32, holdsObjects: Bool) -> Bool {
            let place = isReplacing && !holdsObjects ? ActionAddress(address, action: signal) : nil
            guard connection.mayQueueEvent(bytes, inPlaceOfOneAt: place) else { return false }
            guard let ticket else { return true }
            if let queue = ticket.queue, connection.backlog > 0, connection.backlog + bytes > queue {
                connection.droppedEvent("more than its rule's limit of \(queue) bytes wait")
                return false
            }
            if ticket.mayDeliver(bytes) { return true }
            connection.droppedEvent("its rule's limit for XMPP is used up")
            return false
        }

        func send(_ signal: UInt32, _ payload: ByteBuffer, flags: MessageFlags, holdsObjects: Bool = false) {
            let action = ActionAddress(service: address.service, object: address.object, action: signal)
            let flags = isReplacing && !holdsObjects ? flags.union(.latest) : flags
            // What cannot be told to this peer, or not with this event, is as before.
            guard missed > 0, connection.shared.eventGaps, payload.readableBytes + EventGap.length <= connection.limits.maximumPayload
            else { return connection.send(.event, id: connection.newEventID(), address: action, flags: flags, payload: payload) }
            connection.send(
                .event, id: connection.newEventID(), address: action, flags: flags.union(.gap), payload: EventGap.bytes(missed),
                tail: payload)
            missed = 0
        }
    }

    /// Takes an event's payload, the connection that it came over, if any, and how many events were left out before it.
    typealias LocalSink = (_ payload: ByteBuffer, _ flags: MessageFlags, _ connection: Connection?, _ missed: Int) -> Void

    private struct LocalListener {
        let token: UInt64
        let isLatest: Bool
        let sink: LocalSink
        let ended: (QiError) -> Void
    }

    /// The subscribers of one signal; there are some.
    private final class Row {
        let signal: UInt32
        var remote: [Subscriber] = []
        var local: [LocalListener] = []
        init(_ signal: UInt32) { self.signal = signal }
    }

    private var rows: [UInt32: Row] = [:]
    /// The row used last: signals are emitted again and again.
    private var lastRow: Row?
    private var nextToken: UInt64 = 1

    private func row(_ signal: UInt32) -> Row? {
        if let lastRow, lastRow.signal == signal { return lastRow }
        guard let row = rows[signal] else { return nil }
        lastRow = row
        return row
    }

    private func rowForAdding(_ signal: UInt32) -> Row {
        if let row = row(signal) { return row }
        let row = Row(signal)
        rows[signal] = row
        return row
    }

    /// To be called when subscribers were taken away.
    private func forgetIfEmpty(_ row: Row) {
        guard row.remote.isEmpty, row.local.isEmpty else { return }
        rows[row.signal] = nil
        if lastRow === row { lastRow = nil }
    }

    func isEmpty(_ signal: UInt32) -> Bool { row(signal) == nil }

    /// Whether this process listens.
    func hasLocal(_ signal: UInt32) -> Bool { row(signal)?.local.isEmpty == false }

    /// The signals that have a subscriber.
    var signals: Set<UInt32> { Set(rows.keys) }

    func add(_ subscriber: Subscriber, to signal: UInt32) {
        let row = rowForAdding(signal)
        for other in row.remote where other.connection === subscriber.connection && other.address == subscriber.address {
            other.isAlone = false
            subscriber.isAlone = false
        }
        row.remote.append(subscriber)
    }

    /// A peer of ours registers a link again, to allow that events are left out, or not any more. Nil when there is no such link.
    func renew(link: UInt64, address: ObjectAddress, on connection: Connection, of signal: UInt32, isLatest: Bool) -> Subscriber? {
        let known = known(link: link, address: address, on: connection, of: signal)
        known?.isLatest = isLatest
        return known
    }

    /// The subscription that a peer of ours would renew.
    func known(link: UInt64, address: ObjectAddress, on connection: Connection, of signal: UInt32) -> Subscriber? {
        guard connection.shared.eventGaps else { return nil }
        return row(signal)?.remote.first { $0.link == link && $0.connection === connection && $0.address == address }
    }

    /// Whether only the last event counts for each who listens to a signal.
    func isLatest(_ signal: UInt32) -> Bool {
        guard let row = row(signal) else { return false }
        return row.remote.allSatisfy(\.isLatest) && row.local.allSatisfy(\.isLatest)
    }

    /// `ended` runs when the object is gone for good.
    ///
    /// - Parameter isLatest: whether only the last event counts.
    func add(
        to signal: UInt32, isLatest: Bool = false, ended: @escaping (QiError) -> Void = { _ in }, _ sink: @escaping LocalSink
    ) -> UInt64 {
        defer { nextToken += 1 }
        rowForAdding(signal).local.append(LocalListener(token: nextToken, isLatest: isLatest, sink: sink, ended: ended))
        return nextToken
    }

    /// Takes away the subscription of `link`; answers its signal, or nil when there is none.
    func remove(link: UInt64, address: ObjectAddress, on connection: Connection) -> UInt32? {
        for row in rows.values {
            guard let index = row.remote.lastIndex(where: { $0.link == link && $0.connection === connection && $0.address == address })
            else { continue }
            row.remote.remove(at: index)
            let others = row.remote.filter { $0.connection === connection && $0.address == address }
            if others.count == 1 { others[0].isAlone = true }
            forgetIfEmpty(row)
            return row.signal
        }
        return nil
    }

    func remove(token: UInt64, from signal: UInt32) {
        guard let row = row(signal) else { return }
        row.local.removeAll { $0.token == token }
        forgetIfEmpty(row)
    }

    /// Takes away what this process listens to, and tells it why.
    func endLocal(_ error: QiError) {
        let listeners = rows.values.flatMap(\.local)
        for row in Array(rows.values) {
            row.local = []
            forgetIfEmpty(row)
        }
        for listener in listeners { listener.ended(error) }
    }

    /// Takes away what `connection` subscribed to under `address`, for another object to bring: what was confirmed, with its signals.
    func take(on connection: Connection, address: ObjectAddress) -> [(signal: UInt32, subscriber: Subscriber)] {
        let taken = rows.values.flatMap { row in
            row.remote.filter { $0.connection === connection && $0.address == address && $0.isConfirmed }.map { (row.signal, $0) }
        }
        removeAll(on: connection, address: address)
        return taken
    }

    /// Whether `connection` has subscribed to anything under `address`.
    func isSubscribed(on connection: Connection, address: ObjectAddress) -> Bool {
        rows.values.contains { row in row.remote.contains { $0.connection === connection && $0.address == address } }
    }

    /// Takes away what `connection` subscribed to (under `address` when given), except of the signals that may stay.
    func removeAll(on connection: Connection, address: ObjectAddress? = nil, except mayStay: (UInt32) -> Bool = { _ in false }) {
        for row in Array(rows.values) where !mayStay(row.signal) {
            row.remote.removeAll { $0.connection === connection && (address == nil || $0.address == address) }
            forgetIfEmpty(row)
        }
    }

    /// Sends one emission to everybody whom it is not hidden from, or to `recipients` only. Subscribers whose subscription is not confirmed
    /// are passed over, and miss nothing.
    ///
    /// - Parameters:
    ///   - payload: the signal's parameters tuple as `signature` says (or a dynamic when `flags` says so).
    ///   - source: the connection that it came over.
    ///   - missed: how many emissions were left out before it.
    ///   - rewrite: makes the payload for a connection (objects inside are per connection).
    func emit(
        _ signal: UInt32, _ payload: ByteBuffer, flags: MessageFlags, signature: Signature?, from source: Connection? = nil,
        missed: Int = 0, only recipients: [Connection]? = nil, rewrite: ((Subscriber) throws -> ByteBuffer)? = nil,
        hiddenFrom isHidden: ((Connection) -> Bool)? = nil
    ) {
        guard let row = row(signal) else { return }
        // What a listener does may change the row.
        let local = row.local
        for subscriber in row.remote where subscriber.isConfirmed {
            if let recipients, !recipients.contains(where: { $0 === subscriber.connection }) { continue }
            if let isHidden, isHidden(subscriber.connection) { continue }
            subscriber.leftOut(missed)
            guard subscriber.mayQueue(payload.readableBytes, of: signal, holdsObjects: rewrite != nil) else {
                subscriber.leftOut(1)
                continue
            }
            if let rewrite {
                guard let rewritten = try? rewrite(subscriber) else {
                    subscriber.leftOut(1)
                    subscriber.connection.droppedEvent("an object in an event could not be passed on")
                    continue
                }
                subscriber.send(signal, rewritten, flags: flags, holdsObjects: true)
            } else if let wanted = subscriber.wanted, let signature, flags.isEmpty,
                let converted = Self.convert(payload, from: signature, to: wanted, for: subscriber.connection)
            {
                subscriber.send(signal, converted, flags: .dynamicPayload)
            } else {
                subscriber.send(signal, payload, flags: flags)
            }
        }
        if recipients == nil { for entry in local { entry.sink(payload, flags, source, missed) } }
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
