import DequeModule
import NIOCore
import QiWire

/// The proxy of one connection to a service of a group: stays with one instance as long as that answers, and then goes to another one with
/// its subscriptions. Confined to the bus loop.
///
/// A call that was not answered is made again at the next instance when it is known not to have run, or when it may run twice
/// (``IdempotentMethods``). Others fail, and say that they may have run.
final class GroupSeat: CallMover {
    private struct Flight {
        let call: IncomingCall
        let number: UInt64
        /// How often it was given to an instance.
        var attempts = 0
        var sent: Sent?
    }

    /// Where a call went.
    private struct Sent {
        let instance: GroupInstance
        let connection: Connection
        let target: ObjectAddress
        let id: UInt32

        /// Whether all of it may have left.
        var hasLeft: Bool { connection.stream?.withdraw(callOf: id, to: target) != true }
    }

    private let connection: Connection
    private weak var service: GroupService?
    private(set) var place: (instance: GroupInstance, object: RemoteObject)?
    /// Calls and posts that wait for an instance, in the order in which they came.
    private var waiting: Deque<(call: IncomingCall, until: NIODeadline)> = []
    private var flights: [ObjectIdentifier: Flight] = [:]
    private var nextNumber: UInt64 = 0
    /// Under which this connection knows the service.
    private var address: ObjectAddress?

    /// How long a call waits for an instance.
    static let patience = TimeAmount.seconds(10)
    /// How often a call is given to an instance.
    private static let maximumAttempts = 8

    init(_ connection: Connection, of service: GroupService) {
        self.connection = connection
        self.service = service
    }

    // MARK: - Calls

    func receive(_ call: IncomingCall) {
        address = call.address.target
        guard waiting.isEmpty, let object = seated() else { return wait(call, until: .now() + Self.patience) }
        send(call, to: object)
    }

    private func send(_ call: IncomingCall, to object: RemoteObject) {
        guard !call.isPost else { return object.receive(call) }
        let key = ObjectIdentifier(call)
        if flights[key] == nil {
            flights[key] = Flight(call: call, number: nextNumber)
            nextNumber += 1
        }
        flights[key]?.attempts += 1
        flights[key]?.sent = nil
        call.mover = self
        object.receive(call)
        // Answered in place: what every object has, or a refusal.
        if call.isAnswered { flights[key] = nil }
    }

    /// A Post that finds too many before it is dropped, as everywhere where the way is full.
    private func wait(_ call: IncomingCall, until deadline: NIODeadline) {
        guard waiting.count < connection.limits.maximumCallsInFlight else {
            if !call.isPost { call.fail(QiError(.limit, "\(name): \(waiting.count) calls wait for an instance").wireText) }
            return
        }
        waiting.append((call, deadline))
        call.onCancel = { [weak self, weak call] in
            guard let self, let call else { return }
            waiting.removeAll { $0.call === call }
            flights[ObjectIdentifier(call)] = nil
            call.confirmCancellation()
        }
    }

    private var name: String { service?.name ?? "" }

    func sent(_ call: IncomingCall, on connection: Connection, as id: UInt32) {
        guard let place else { return }
        flights[ObjectIdentifier(call)]?.sent = Sent(
            instance: place.instance, connection: connection, target: place.object.address, id: id)
    }

    func takes(_ call: IncomingCall, after answer: CallAnswer, of object: AnyObject, isLost: Bool) -> Bool {
        let key = ObjectIdentifier(call)
        guard let flight = flights[key] else { return false }
        // It was made at the next instance already.
        if flight.sent == nil, place?.object !== object { return true }
        let isLost = flight.sent?.connection.isClosed ?? isLost
        let hasLeft = isLost && flight.sent?.hasLeft ?? false
        switch CallFate(answer, isLost: isLost, hasLeft: hasLeft) {
        case .answered:
            flights[key] = nil
            if let sent = flight.sent { service?.answered(by: sent.instance) }
            return false
        case .notRun(let reason):
            if reason == CallFate.stopping { flight.sent?.instance.stops() }
            again(flight, reason, mayHaveRun: false)
        case .mayHaveRun(let reason):
            if service?.mayRunTwice(call.address.action) == true {
                again(flight, reason, mayHaveRun: true)
            } else {
                fail(flight, reason, mayHaveRun: true)
            }
        }
        return true
    }

    /// Makes a call again, when its instance is not the one that it would be made at.
    private func again(_ flight: Flight, _ reason: String, mayHaveRun: Bool) {
        guard !flight.call.isAnswered, flight.attempts < Self.maximumAttempts, flight.call.terms?.end.map({ $0 > .now() }) ?? true else {
            return fail(flight, reason, mayHaveRun: mayHaveRun)
        }
        flights[ObjectIdentifier(flight.call)]?.sent = nil
        if let object = seated(except: flight.sent?.instance) {
            send(flight.call, to: object)
        } else {
            wait(flight.call, until: .now() + Self.patience)
        }
    }

    private func fail(_ flight: Flight, _ reason: String, mayHaveRun: Bool) {
        flights[ObjectIdentifier(flight.call)] = nil
        let instance = flight.sent?.instance
        instance.map { service?.lostCall(of: $0) }
        let place = instance.map { " at \($0.member.name)" } ?? ""
        let outcome = mayHaveRun ? "the call may have run there" : "the call has not run"
        flight.call.fail(QiError(.disconnected, "\(name)\(place): \(reason); \(outcome)").wireText)
    }

    // MARK: - The instance

    /// The object to send to: of the instance where it stays, or of another one when that does not answer.
    ///
    /// - Parameter except: an instance that has just failed.
    private func seated(except failed: GroupInstance? = nil) -> RemoteObject? {
        if let place, place.instance !== failed, place.instance.isUsable(place.object) { return place.object }
        if let next = service?.choose(except: failed) {
            move(to: next)
            return place?.object
        }
        // Its path may come back: what is sent waits for that, as to a device that is alone.
        guard let place, place.instance !== failed, let connection = place.object.connection, !connection.isClosed else { return nil }
        return place.object
    }

    private func move(to instance: GroupInstance) {
        guard let object = instance.usable else { return }
        let before = place
        before?.instance.proxies -= 1
        instance.proxies += 1
        place = (instance, object)
        guard let before, let address, before.object !== object else { return }
        let moved = before.object.subscriptions.take(on: connection, address: address)
        for (signal, subscriber) in moved {
            object.subscriptions.add(subscriber, to: signal)
            object.subscribeUpstream(signal) { [weak service] error in service?.subscriptionMoved(error, to: instance) }
        }
        for signal in Set(moved.map(\.signal)) { before.object.unsubscribeIfUnused(signal) }
        // Those that were not confirmed there are asked for anew.
        let asking = flights.values.filter { $0.call.isSubscribing && !$0.call.isAnswered && $0.attempts > 0 }
        for flight in asking.sorted(by: { $0.number < $1.number }) { send(flight.call, to: object) }
    }

    /// Something about the instances has changed, or time has passed.
    func review(at now: NIODeadline) {
        flights = flights.filter { !$0.value.call.isAnswered }
        leaveDead()
        if let place, !place.instance.isUsable(place.object), let address,
            place.object.subscriptions.isSubscribed(on: connection, address: address), let next = service?.choose(except: place.instance)
        {
            move(to: next)
        }
        sendWaiting(at: now)
    }

    private func sendWaiting(at now: NIODeadline) {
        while let first = waiting.first {
            if first.call.isAnswered, !first.call.isPost {
                waiting.removeFirst()
            } else if let object = seated() {
                waiting.removeFirst()
                send(first.call, to: object)
            } else if first.until <= now {
                waiting.removeFirst()
                flights[ObjectIdentifier(first.call)] = nil
                if !first.call.isPost { first.call.fail(service?.unavailable.wireText ?? QiError(.offline, "\(name) is away").wireText) }
            } else {
                return
            }
        }
    }

    /// Calls at an instance that does not answer any more go elsewhere, if there is another one; else they wait for its path.
    private func leaveDead() {
        let lost = flights.values.filter { $0.sent.map { !$0.instance.link.isLive && !$0.connection.isClosed } ?? false }
        for flight in lost.sorted(by: { $0.number < $1.number }) {
            guard let sent = flight.sent, service?.choose(except: sent.instance) != nil else { continue }
            let reason = "it does not answer any more"
            let hasRun = !sent.connection.takeBack(sent.id)
            if hasRun, service?.mayRunTwice(flight.call.address.action) != true {
                fail(flight, reason, mayHaveRun: true)
            } else {
                again(flight, reason, mayHaveRun: hasRun)
            }
        }
    }

    /// What the connection has subscribed to.
    var object: RemoteObject? { place?.object }

    /// Calls that wait for an instance, or for its answer.
    var callsInWork: Int { flights.count + waiting.count }

    /// The connection needs the service no more.
    func end(_ error: QiError?) {
        place?.instance.proxies -= 1
        let calls = waiting.map(\.call) + flights.values.filter { $0.sent == nil }.map(\.call)
        waiting = []
        place = nil
        flights = [:]
        guard let error else { return }
        for call in calls where !call.isPost { call.fail(error.wireText) }
    }
}

extension IncomingCall {
    /// Whether it asks for events.
    fileprivate var isSubscribing: Bool {
        address.action == WellKnownActions.registerEvent || address.action == WellKnownActions.registerEventWithSignature
    }
}
