import NIOCore
import QiWire

extension Connection {
    nonisolated(nonsending) func metaObject(
        of address: ObjectAddress, name: String, deadline: NIODeadline = .now() + .seconds(10)
    ) async throws(QiError) -> MetaObject {
        let result: Result<MetaObject, QiError> = await withUnsafeContinuation { continuation in
            describe(address, name: name, deadline: deadline) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }
}

extension RemoteObject {
    /// Calls a method by id, with arguments of its types, on the loop.
    ///
    /// - Parameter late: is told of a reply that comes behind the deadline.
    nonisolated(nonsending) func value(
        of action: UInt32, _ arguments: [QiValue], deadline: NIODeadline, for caller: RelayedCaller? = nil, late: LateReply? = nil
    ) async throws(QiError) -> QiValue {
        guard let method = members.method(action) else { throw QiError(.notFound, "\(name) has no method #\(action)") }
        var payload = ByteBuffer()
        do throws(WireError) {
            let tuple = QiValue.tuple(arguments)
            let converted = try tuple.converted(from: tuple.inferredType, to: method.parameters.type)
            try payload.writeQi(converted, as: method.parameters.type)
        } catch {
            throw QiError(.invalid, "the arguments of \(name).\(method.meta.name) cannot be sent: \(error.message)")
        }
        let answer: CallAnswer = await withUnsafeContinuation { continuation in
            call(
                action, payload, flags: [], end: .at(deadline), late: late, for: caller,
                waiter: .closure { continuation.resume(returning: $0) })
        }
        guard case .reply(let payload, let flags) = answer else {
            throw answer.failure(of: name) ?? QiError(.invalid, "\(name) did not answer")
        }
        do {
            return try payload.value(of: method.returns.type, flags: flags)
        } catch {
            throw QiError(.invalid, "the result of \(name).\(method.meta.name) cannot be read: \(error.message)")
        }
    }

    /// Returns when the owner has confirmed that it sends a signal to us.
    nonisolated(nonsending) func confirmSubscription(to signal: UInt32) async throws(QiError) {
        let failure: QiError? = await withUnsafeContinuation { continuation in
            subscribeUpstream(signal) { continuation.resume(returning: $0) }
        }
        if let failure { throw failure }
    }

    /// Listens to a signal, and returns when the owner has confirmed.
    nonisolated(nonsending) func confirmedListen(
        to signal: UInt32, _ sink: @escaping SubscriptionTable.LocalSink
    ) async throws(QiError) {
        let failure: QiError? = await withUnsafeContinuation { continuation in
            _ = listen(to: signal, confirmed: { continuation.resume(returning: $0) }, sink)
        }
        if let failure { throw failure }
    }
}
