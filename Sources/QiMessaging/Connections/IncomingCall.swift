import NIOCore
import QiWire

/// A Call or Post that arrived on a connection, and the one place that answers it: exactly once, whatever its receiver
/// does. Confined to the bus loop.
final class IncomingCall {
    let connection: Connection
    let header: MessageHeader
    let payload: ByteBuffer
    /// Who makes the call, when the peer passes it on for somebody.
    let relayed: RelayedCaller?
    /// What the caller accepts of the answer, if it said so.
    let terms: CallTerms?
    private(set) var isAnswered: Bool
    /// Whether its connection holds it until it is answered.
    var isAwaited = false
    /// Asks whoever serves the call to end it; set by receivers that can.
    var onCancel: (() -> Void)?
    /// Takes the call over when the object it was given to does not answer it; nil where its caller is told.
    weak var mover: (any CallMover)?
    /// The method that serves the call, while it runs.
    var execution: (any PoolJob)?
    /// The type that the caller wants the result converted to.
    var wantedReturn: Signature?
    /// What to tell of the call at its end, when its object is watched.
    var observation: CallObservation?
    /// What it counts for under a limit, until it is answered and for as long as what it subscribed to is subscribed.
    var ticket: CallTicket?
    var subscription: SubscriptionTicket?
    /// What its principal has in work. It is part of that until nobody serves it any more: one whose caller has gone goes on at its owner.
    private var meter: ArgumentMeter?
    /// Bytes counted there for a caller that has gone.
    private var owed = 0

    init(connection: Connection, message: Message) {
        self.connection = connection
        header = message.header
        payload = message.payload
        isAnswered = message.header.kind == .post
        relayed = connection.takeRelayedCaller(of: message.id)
        terms = connection.callTerms.take(message.id)
    }

    deinit { meter?.callEnded(owing: owed) }

    func count(in meter: ArgumentMeter) {
        self.meter = meter
        meter.callBegan()
    }

    var isPost: Bool { header.kind == .post }
    var address: ActionAddress { header.address }

    /// - Parameter objects: those that were given an address on this connection for it alone: they are given up when it is not sent, or
    ///   taken back.
    func reply(_ payload: ByteBuffer, tail: ByteBuffer? = nil, flags: MessageFlags = [], objects: [ObjectAddress] = []) {
        guard !isAnswered else { return connection.release(objects) }
        let bytes = payload.readableBytes + (tail?.readableBytes ?? 0)
        if terms != nil || connection.stream != nil {
            let refusal = terms?.refusal(ofResult: bytes)
                ?? connection.stream?.path?.refusal(of: "the result", bytes: bytes, under: terms, at: .now())
            if let refusal {
                connection.release(objects)
                return fail(refusal.wireText)
            }
        }
        answer(.reply, payload, tail, flags)
        // A shorter one is never taken back.
        if !objects.isEmpty, bytes > StreamLanes.bulk {
            connection.sent(objects, inAnswerTo: header.id, of: address.target)
        }
    }

    /// Answers with a value of any convertible shape, as the method's return type, or as the one the caller asked for. Objects in it
    /// are hosted on this connection.
    func reply(with value: QiValue, of method: MemberTable.Method, as wanted: Signature? = nil) {
        guard !isAnswered else { return }
        do {
            let declared = method.returns.type
            let coding = connection.objectCoding
            let result = try value.converted(from: value.inferredType, to: declared)
            let target = address.target
            var payload = connection.bus.takeBuffer()
            let objects = try connection.exporting(
                [result], inService: target.service, isPassed: target.isPassed
            ) { (values) throws(WireError) in
                guard let wanted else { return try payload.writeQi(values[0], as: declared, objects: coding) }
                let converted = try values[0].converted(from: declared, to: wanted.type)
                try payload.writeQi(.dynamic(QiDynamic(signature: wanted, value: converted)), as: .dynamic, objects: coding)
            }
            reply(payload, flags: wanted == nil ? [] : .dynamicPayload, objects: objects)
            connection.bus.takeBack(&payload)
        } catch {
            fail("the return value of \(method.meta.name) cannot be sent: \(error.callText)")
        }
    }

    /// The caller does not want the answer any more.
    func cancel() {
        execution?.cancel()
        onCancel?()
    }

    /// Answers with an Error that carries `text`.
    func fail(_ text: String) {
        var payload = ByteBuffer()
        payload.writeErrorPayload(text)
        answer(.error, payload)
    }

    /// Answers with an Error before anything of the call was taken: objects in its arguments are let go of.
    ///
    /// - Parameter members: those of the object that it is for; nil: not known, and neither are the types of its arguments.
    func refuse(_ text: String, by members: MemberTable?) {
        fail(text)
        releaseArguments(of: members)
    }

    /// Lets the objects go that came with a call or post of which nothing was taken: their owner would keep them as long as the connection.
    func releaseArguments(of members: MemberTable?) {
        let action = address.action
        guard let members else { return }
        let declared = members.method(action)?.parameters.type ?? MemberTable.generic.method(action)?.parameters.type
            ?? members.signal(action)?.signature.type
        guard let type = header.flags.contains(.dynamicPayload) ? .dynamic : declared, type.mayHoldObject,
            // What cannot be read holds nothing that could be released.
            let addresses = try? payload.qiObjects(in: type, objects: connection.objectCoding)
        else { return }
        connection.letGo(addresses)
    }

    /// Answers with the payload of somebody else's Error, byte for byte.
    func fail(payload: ByteBuffer) { answer(.error, payload) }

    /// Answers Canceled: to a peer that never announced cancellation as an Error, which it understands.
    func confirmCancellation() {
        if connection.shared.remoteCancelableCalls {
            answer(.canceled, ByteBuffer())
        } else {
            fail("Call has been canceled.")
        }
    }

    private func answer(_ kind: MessageKind, _ payload: ByteBuffer, _ tail: ByteBuffer? = nil, _ flags: MessageFlags = []) {
        guard !isAnswered else { return }
        isAnswered = true
        onCancel = nil
        execution = nil
        ticket?.answered(payload.readableBytes + (tail?.readableBytes ?? 0))
        ticket = nil
        connection.answered(self)
        if !connection.answerObjects.isEmpty { connection.answerObjects.forget(answerTo: header.id) }
        connection.send(kind, id: header.id, address: header.address, flags: flags, payload: payload, tail: tail)
    }

    /// The connection is gone: nobody can be answered any more. What serves the call may not know how to end it, so that it still counts.
    func abandon() {
        guard !isAnswered else { return }
        isAnswered = true
        if let meter {
            owed = payload.readableBytes
            meter.add(owed)
        }
        let (cancel, execution) = (onCancel, execution)
        onCancel = nil
        self.execution = nil
        execution?.cancel()
        cancel?()
    }
}
