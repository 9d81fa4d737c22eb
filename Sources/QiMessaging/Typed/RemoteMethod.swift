import NIOCore
public import QiWire

/// A method of an object as a typed proxy calls it, looked up once.
public struct RemoteMethod: Sendable {
    enum Resolution: Sendable {
        /// The object declares exactly these types: bytes pass as they are.
        case exact(MemberTable.Method)
        /// The object declares types that these can be converted to.
        case converting(MemberTable.Method)
        case missing(QiError)
    }

    let name: String
    let resolution: Resolution
}

extension ObjectProxy {
    /// Looks up a method for arguments of these types. Never fails: one that is missing fails when it is called.
    public func method(_ name: String, parameters: [QiType], returns: QiType = .void) -> RemoteMethod {
        do throws(WireError) {
            let found = try handle.members.resolve(name, types: parameters)
            let isExact = found.parameters.type == .tuple(parameters) && found.returns.type == returns
                && !found.parameters.type.mayHoldObject && !returns.mayHoldObject
            return RemoteMethod(name: name, resolution: isExact ? .exact(found) : .converting(found))
        } catch {
            let known = metaObject.methods.contains { $0.name == name }
            let failure = QiError(known ? .invalid : .notFound, "\(self.name).\(name): \(error.message)")
            return RemoteMethod(name: name, resolution: .missing(failure))
        }
    }

    /// Calls a method that returns a value.
    ///
    /// - Parameter arguments: gives the arguments, in order.
    /// - Throws: as ``call(_:arguments:deadline:)``.
    public nonisolated(nonsending) func invoke<Result: QiConvertible>(
        _ method: RemoteMethod, deadline: Duration = .seconds(10), returning: Result.Type = Result.self,
        _ arguments: (inout MethodArguments) throws(WireError) -> Void
    ) async throws(QiError) -> Result {
        let answer = try await perform(method, deadline, arguments)
        do throws(WireError) {
            switch answer {
            case .bytes(var payload): return try Result(reading: &payload)
            case .value(let value): return try Result(qiValue: value)
            }
        } catch {
            throw QiError(.invalid, "the result of \(name).\(method.name) is no \(Result.self): \(error.message)")
        }
    }

    /// Calls a method that returns nothing, or whose result does not matter.
    public nonisolated(nonsending) func invoke(
        _ method: RemoteMethod, deadline: Duration = .seconds(10),
        _ arguments: (inout MethodArguments) throws(WireError) -> Void
    ) async throws(QiError) {
        _ = try await perform(method, deadline, arguments)
    }

    private enum Answer {
        case bytes(ByteBuffer)
        case value(QiValue)
    }

    private nonisolated(nonsending) func perform(
        _ method: RemoteMethod, _ deadline: Duration, _ arguments: (inout MethodArguments) throws(WireError) -> Void
    ) async throws(QiError) -> Answer {
        switch (method.resolution, handle.target) {
        case (.missing(let error), _): throw error
        case (.exact(let found), .remote(let loop, let target)):
            let payload = try fill(arguments, into: MethodArguments(bytes: loop.takeBuffer(), takesValues: false), method).bytes
            let outcome = await Self.send(found.meta.uid, .bytes(payload, []), found.returns.type, deadline, loop, target)
            loop.giveBuffer(payload)
            guard case .reply(let reply, let flags) = outcome.answer else {
                let label = "\(name).\(method.name)"
                throw Self.describe(outcome.answer.failure(of: label), label, deadline)
            }
            if flags.isEmpty { return .bytes(reply) }
            do { return .value(try reply.value(of: found.returns.type, flags: flags)) } catch {
                throw QiError(.invalid, "the result of \(name).\(method.name) cannot be read: \(error.message)")
            }
        case (.exact(let found), .local), (.converting(let found), _):
            let values = try fill(arguments, into: MethodArguments(bytes: ByteBuffer(), takesValues: true), method).values
            return .value(try await call(found, values, deadline))
        }
    }

    private func fill(
        _ arguments: (inout MethodArguments) throws(WireError) -> Void, into filled: consuming MethodArguments, _ method: RemoteMethod
    ) throws(QiError) -> MethodArguments {
        do {
            try arguments(&filled)
        } catch {
            throw QiError(.invalid, "the arguments of \(name).\(method.name) cannot be sent: \(error.message)")
        }
        return filled
    }

    /// The implementation itself when the object is of this process, for a call with nothing between. Ask once and keep the answer,
    /// and look at ``isDirect`` before each call.
    public func implementation<Implementation>(as type: Implementation.Type = Implementation.self) -> Implementation? {
        guard case .local(let object) = handle.target else { return nil }
        return object.implementation as? Implementation
    }

    /// Whether an implementation of this process may be called directly: not once the service is gone, nor while its calls are
    /// measured or traced.
    public var isDirect: Bool { handle.isDirect }
}
