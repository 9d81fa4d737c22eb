import QiWire

/// Calls from this process: in the caller's own task, with values passed through.
extension DynamicObject {
    /// Calls a method; the arguments are converted to its parameters, the result to its return type. A direct method runs in the
    /// caller's task, any other in one of its own, which the deadline and the end of `handle` cancel.
    ///
    /// - Throws: `.invalid` for arguments that do not fit, what the method threw, as ``QiError/init(wireText:)`` reads its text, `.cancelled`,
    ///   `.timedOut`, and why the service went away.
    nonisolated(nonsending) func call(
        _ method: MemberTable.Method, _ arguments: [QiValue], _ label: CallLabel, deadline: Duration, through handle: ProxyHandle
    ) async throws(QiError) -> QiValue {
        let uid = method.meta.uid
        let values = try fitting(arguments, method, label)
        let observation = begin(uid, values, onThread: false)
        do {
            let result: QiValue
            if let found = methods[uid], found.callType == .queued {
                result = try await LocalCall.run(label, deadline: deadline, through: handle) {
                    try await self.perform(method, values, label)
                }
            } else {
                result = try await perform(method, values, label)
            }
            end(uid, observation, .result, result)
            return result
        } catch let error as Interruption {
            end(uid, observation, .error, .string(error.error.message))
            throw error.error
        } catch {
            end(uid, observation, .error, .string(error.callText))
            if Task.isCancelled { throw QiError(.cancelled, "the call to \(label) was cancelled") }
            throw error as? LocalFailure == nil ? QiError(thrownBy: error) : QiError(.invalid, error.callText)
        }
    }

    /// The call ended before its method did.
    struct Interruption: Error {
        let error: QiError
    }

    /// Calls without an answer. Only methods that never suspend can be called where nobody waits; others have no task to run in.
    func post(_ method: MemberTable.Method, _ arguments: [QiValue]) throws(QiError) {
        let label = CallLabel(method: method.meta.name)
        guard let found = methods[method.meta.uid], case .immediate(let body) = found.body else {
            throw QiError(.unsupported, "\(label) cannot be posted to within its own process: call it, and await it")
        }
        var frame = MethodCall(values: try fitting(arguments, method, label), givesValue: true)
        do { try body(&frame) } catch { throw QiError(thrownBy: error) }
    }

    /// Something between caller and method that neither threw.
    private struct LocalFailure: Error, CustomStringConvertible {
        let description: String
    }

    private func fitting(_ arguments: [QiValue], _ method: MemberTable.Method, _ label: CallLabel) throws(QiError) -> [QiValue] {
        guard case .tuple(let parameters) = method.parameters.type else { return arguments }
        do throws(WireError) {
            guard arguments.count == parameters.members.count else {
                throw WireError(.conversion, "\(arguments.count) given, \(parameters.members.count) wanted")
            }
            var values: [QiValue] = []
            values.reserveCapacity(arguments.count)
            for (argument, type) in zip(arguments, parameters.members) { values.append(try argument.converted(to: type)) }
            return values
        } catch {
            throw QiError(.invalid, "the arguments do not fit \(label)\(method.meta.parametersSignature): \(error.message)")
        }
    }

    private nonisolated(nonsending) func perform(
        _ method: MemberTable.Method, _ values: [QiValue], _ label: CallLabel
    ) async throws -> QiValue {
        guard let found = methods[method.meta.uid] else {
            guard method.meta.uid < WellKnownActions.firstUserAction else { throw LocalFailure(description: "No such method \(label)") }
            return try generic(method.meta.uid, values)
        }
        let result: QiValue
        switch found.body {
        case .values(let body):
            let context = CallContext(to: self)
            result = try await CallContext.$current.withValue(context) { try await body(values, context) }
        case .typed(let body):
            var frame = MethodCall(values: values, givesValue: true)
            try await body(&frame)
            result = frame.resultValue ?? .void
        case .immediate(let body):
            var frame = MethodCall(values: values, givesValue: true)
            try body(&frame)
            result = frame.resultValue ?? .void
        }
        do {
            return try result.converted(to: method.returns.type)
        } catch {
            throw LocalFailure(description: "the return value of \(label) cannot be sent: \(error.message)")
        }
    }
}
