import Logging
import NIOCore
public import QiWire

extension ObjectProxy {
    /// Calls a method by name (or full name, `name::(signature)`) and converts the result. A task that is cancelled already makes no call.
    public nonisolated(nonsending) func call<Result: QiConvertible>(
        _ method: String, _ arguments: any QiConvertible..., deadline: Duration = .seconds(10)
    ) async throws(QiError) -> Result {
        let value = try await call(method, arguments: arguments.map(\.qiValue), deadline: deadline)
        do {
            return try Result(qiValue: value)
        } catch {
            throw QiError(.invalid, "the result of \(name).\(method) is no \(Result.self): \(error.message)")
        }
    }

    /// Calls a method by name with dynamic values.
    ///
    /// - Returns: the result, of the method's return type.
    /// - Throws: `.remote` with the method's own error text, `.denied` when a policy refuses the call, `.notFound` for no such method, `.invalid` for arguments that fit no
    ///   overload, `.timedOut`, `.disconnected`, `.cancelled`.
    public nonisolated(nonsending) func call(
        _ method: String, arguments: [QiValue], deadline: Duration = .seconds(10)
    ) async throws(QiError) -> QiValue {
        try await call(try resolve(method, arguments), arguments, deadline)
    }

    /// The same, with what is accepted of the answer told to the nodes on the way: between devices an argument or a result that would take
    /// longer than `deadline` on the path there is refused at once, with its size and the path's rate. Within this process it is not looked
    /// at.
    ///
    /// - Parameter mostBytes: the longest result to accept, encoded, whatever `paths.in-band-max` says there; nil: what that says.
    /// - Throws: as ``call(_:arguments:deadline:)``; `.limit` for what is refused.
    public nonisolated(nonsending) func call(
        _ method: String, arguments: [QiValue], deadline: Duration = .seconds(10), mostBytes: Int?
    ) async throws(QiError) -> QiValue {
        let terms = CallTerms(mostBytes: mostBytes, end: .now() + TimeAmount(deadline))
        return try await call(try resolve(method, arguments), arguments, deadline, under: terms)
    }

    nonisolated(nonsending) func call(
        _ method: MemberTable.Method, _ arguments: [QiValue], _ deadline: Duration, under terms: CallTerms? = nil
    ) async throws(QiError) -> QiValue {
        let label = CallLabel(object: name, method: method.meta.name)
        switch handle.target {
        case .local(let object):
            return try await handle.requireLocal(object).call(method, arguments, label, deadline: deadline, through: handle)
        case .remote(let path):
            let content = try encode(arguments, for: method)
            switch await Self.send(method.meta.uid, content, method.returns.type, deadline, under: terms, path) {
            case .value(let result): return try result.get()
            case .answer(.reply(let payload, let flags)):
                do {
                    return try payload.value(of: method.returns.type, flags: flags)
                } catch {
                    throw QiError(.invalid, "the result of \(label) cannot be read: \(error.message)")
                }
            case .answer(let answer):
                // What the other side tells is whole; what is found out here says of which call it is.
                if case .error = answer, let told = answer.failure(of: "\(label)") { throw told }
                throw Self.describe(answer.failure(of: "\(label)"), label, deadline)
            }
        }
    }

    /// Calls without an answer: nothing tells whether it worked.
    public func post(_ method: String, arguments: [QiValue]) throws(QiError) {
        let found = try resolve(method, arguments)
        switch handle.target {
        case .remote(let path):
            let content = try encode(arguments, for: found)
            path.loop.submit { bus in Self.post(found.meta.uid, content, path.object.value, bus) }
        case .local(let object): try handle.requireLocal(object).post(found, arguments)
        }
    }

    static func describe(_ error: QiError?, _ label: CallLabel, _ deadline: Duration) -> QiError {
        var error = error ?? QiError(.invalid, "\(label) was not answered")
        if error.code == .timedOut { error.message = "timed out after \(deadline.text) waiting for \(label)" }
        if error.code == .disconnected || error.code == .offline { error.message = "\(label): \(error.message)" }
        return error
    }

    private func resolve(_ method: String, _ arguments: [QiValue]) throws(QiError) -> MemberTable.Method {
        do {
            return try handle.members.resolve(method, arguments)
        } catch {
            let known = metaObject.methods.contains { $0.name == method }
            throw QiError(known ? .invalid : .notFound, "\(name).\(method): \(error.message)")
        }
    }

    /// Arguments as the method declares them; as one dynamic when they cannot be converted here, for the callee to try.
    func encode(_ arguments: [QiValue], for method: MemberTable.Method) throws(QiError) -> CallContent {
        var payload = ByteBuffer()
        do throws(WireError) {
            let type = method.parameters.type
            var tuple = QiValue.tuple(arguments)
            var flags: MessageFlags = []
            var written = type
            if type == .dynamic {
                tuple = .dynamic(QiDynamic(tuple))
            } else if let converted = try? tuple.converted(from: tuple.inferredType, to: type) {
                tuple = converted
            } else {
                tuple = .dynamic(QiDynamic(tuple))
                written = .dynamic
                flags = .dynamicPayload
            }
            if tuple.holdsObject { return .values(tuple, written, flags) }
            try payload.writeQi(tuple, as: written)
            return .bytes(payload, flags)
        } catch {
            throw QiError(.invalid, "the arguments of \(name).\(method.meta.name) cannot be sent: \(error.message)")
        }
    }

    // MARK: - On the loop

    /// Sends a call and waits for its end. Whoever waits on the loop itself goes on there, without any other thread.
    nonisolated(nonsending) private static func send(
        _ action: UInt32, _ content: CallContent, _ returns: QiType, _ deadline: Duration, under terms: CallTerms?,
        _ path: RemotePath
    ) async -> CallFlight.Outcome {
        guard !Task.isCancelled else { return .answer(.failure(CallFlight.cancellation)) }
        let begun: CallFlight.Begun = await withUnsafeContinuation { task in
            if path.loop.eventLoop.inEventLoop {
                begin(task, action, content, returns, .within(deadline), under: terms, path.object.value, path.loop.bus)
            } else {
                let end = CallEnd.by(.now() + TimeAmount(deadline))
                path.loop.submit { bus in begin(task, action, content, returns, end, under: terms, path.object.value, bus) }
            }
        }
        return await end(of: begun, path)
    }

    /// How a call ends that was begun. One that is not answered within ``Bus/patience`` goes on as a ``CallFlight``, which a cancellation
    /// of the task ends.
    nonisolated(nonsending) static func end(of begun: CallFlight.Begun, _ path: RemotePath) async -> CallFlight.Outcome {
        switch begun {
        case .answer(let answer): return .answer(answer)
        case .lasting(let flight):
            return await withTaskCancellationHandler {
                await flight.ended()
            } onCancel: {
                path.loop.submit { bus in
                    if let sent = flight.cancel() { abandon(sent, bus) }
                }
            }
        }
    }

    private static func begin(
        _ task: UnsafeContinuation<CallFlight.Begun, Never>, _ action: UInt32, _ content: CallContent, _ returns: QiType,
        _ end: CallEnd, under terms: CallTerms? = nil, _ target: RemoteObject, _ bus: Bus
    ) {
        if terms == nil, case .bytes(let payload, let flags) = content, !returns.mayHoldObject, target.connection != nil {
            target.call(action, payload, flags: flags, end: end, waiter: .task(task))
        } else {
            let flight = CallFlight()
            task.resume(returning: .lasting(flight))
            let now = NIODeadline.now()
            start(flight, action, content, returns, end.deadline(at: now) ?? now, under: terms, target, bus)
        }
    }

    /// As above, of a call whose result holds no object: the usual case, which costs nothing but the frame.
    static func begin(
        _ task: UnsafeContinuation<CallFlight.Begun, Never>, _ action: UInt32, _ payload: ByteBuffer, _ tail: ByteBuffer?,
        _ returns: QiType, _ end: CallEnd, _ target: RemoteObject, _ bus: Bus
    ) {
        guard tail == nil, target.connection != nil else {
            return begin(task, action, tail.map { .parts(payload, tail: $0) } ?? .bytes(payload, []), returns, end, target, bus)
        }
        target.call(action, payload, flags: [], end: end, waiter: .task(task))
    }

    private static func start(
        _ flight: CallFlight, _ action: UInt32, _ content: CallContent, _ returns: QiType, _ end: NIODeadline,
        under terms: CallTerms?, _ target: RemoteObject, _ bus: Bus
    ) {
        if target.connection == nil, target.waitsInGap {
            let token = target.whenAttached(until: end) { failure in
                if let failure { return flight.complete(.failure(failure)) }
                start(flight, action, content, returns, end, under: terms, target, bus)
            }
            guard let token else { return }
            let waiting = NIOLoopBound(target, eventLoop: bus.eventLoop)
            guard !flight.waits({ waiting.value.stopWaiting(token, CallFlight.cancellation) }) else { return }
            return target.stopWaiting(token, CallFlight.cancellation)
        }
        var waiter = CallWaiter.flight(flight)
        var late: LateReply?
        if returns.mayHoldObject {
            late = { [weak connection = target.connection] payload, flags in
                guard let connection else { return }
                let type = flags.contains(.dynamicPayload) ? .dynamic : returns
                ObjectPassage(from: connection, name: target.name).releaseUnused(in: payload, as: type)
            }
            waiter = .closure { [late] answer in
                // One of before may not have kept to the terms.
                if let refusal = answer.refusal(under: terms) {
                    if case .reply(let payload, let flags) = answer { late?(payload, flags) }
                    return flight.complete(.answer(.failure(refusal)))
                }
                let value = answer.adoptedValue(of: returns, by: target.connection, named: target.name)
                flight.complete(value.map { .value($0) } ?? .answer(answer))
            }
        }
        if let terms, !returns.mayHoldObject {
            waiter = .closure { answer in
                flight.complete(.answer(answer.refusal(under: terms).map { .failure($0) } ?? answer))
            }
        }
        do {
            let (payload, tail, flags, objects) = try Self.payload(content, for: target)
            let sent = target.call(
                action, payload, tail: tail, flags: flags, end: .at(end), late: late, terms: terms, objects: objects, waiter: waiter)
            if let sent, !flight.sent(sent.connection.id, sent.id) { abandon((sent.connection.id, sent.id), bus) }
        } catch {
            flight.complete(.failure(error))
        }
    }

    private static func abandon(_ sent: (connection: UInt64, id: UInt32), _ bus: Bus) {
        bus.connection(sent.connection)?.abandon(sent.id, CallFlight.cancellation)
    }

    private static func post(_ action: UInt32, _ content: CallContent, _ target: RemoteObject, _ bus: Bus) {
        do {
            let (payload, tail, flags, _) = try payload(content, for: target)
            target.post(action, payload, tail: tail, flags: flags)
        } catch {
            bus.logger.warning("post not sent", metadata: [LogKeys.service: "\(target.name)", LogKeys.error: "\(error)"])
        }
    }

    private static func payload(
        _ content: CallContent, for target: RemoteObject
    ) throws(QiError) -> (payload: ByteBuffer, tail: ByteBuffer?, flags: MessageFlags, objects: [ObjectAddress]) {
        switch content {
        case .bytes(let payload, let flags): return (payload, nil, flags, [])
        case .parts(let payload, let tail): return (payload, tail, [], [])
        case .values(let value, let type, let flags):
            guard let connection = target.connection else { throw target.lostError }
            let address = target.address
            var payload = ByteBuffer()
            do {
                // Each side of a conversation numbers its objects in a range of its own (reference §5).
                let objects = try connection.exporting(
                    [value], inService: address.service, isPassed: !address.isPassed
                ) { (values) throws(WireError) in
                    try payload.writeQi(values[0], as: type, objects: connection.objectCoding)
                }
                return (payload, nil, flags, objects)
            } catch {
                throw error as? QiError ?? QiError(.invalid, "the arguments of \(target.name) cannot be sent: \(error.callText)")
            }
        }
    }

    func postSignal(_ signal: UInt32, _ content: CallContent) {
        guard case .remote(let path) = handle.target else { return }
        path.loop.submit { bus in Self.post(signal, content, path.object.value, bus) }
    }
}

extension CallAnswer {
    /// Why a reply is not taken; nil for one that may be, and for what is none.
    fileprivate func refusal(under terms: CallTerms?) -> QiError? {
        guard case .reply(let payload, _) = self else { return nil }
        return terms?.refusal(ofResult: payload.readableBytes)
    }

    /// The value of a reply with a proxy for every object in it; nil when it is none. On the loop.
    fileprivate func adoptedValue(of type: QiType, by connection: Connection?, named name: String) -> Result<QiValue, QiError>? {
        guard case .reply(let payload, let flags) = self, let connection else { return nil }
        do throws(QiError) {
            let value: QiValue
            do throws(WireError) {
                value = try payload.value(of: type, flags: flags, objects: connection.objectCoding)
            } catch {
                throw QiError(.invalid, "the result of \(name) cannot be read: \(error.message)")
            }
            return .success(try connection.adopting(value, named: "an object of \(name)"))
        } catch {
            return .failure(error)
        }
    }
}
