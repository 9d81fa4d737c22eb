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

    /// One reference, for every call hands it on.
    final class Content: Sendable {
        let name: String
        let resolution: Resolution
        /// Of one whose bytes pass as they are: its id and its return type.
        let exact: (uid: UInt32, returns: QiType)?

        init(_ name: String, _ resolution: Resolution) {
            self.name = name
            self.resolution = resolution
            exact = if case .exact(let method) = resolution { (method.meta.uid, method.returns.type) } else { nil }
        }
    }

    let content: Content
    var name: String { content.name }

    init(name: String, resolution: Resolution) { content = Content(name, resolution) }
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
        indirect case value(QiValue)
    }

    private static let allocator = ByteBufferAllocator()

    private nonisolated(nonsending) func perform(
        _ method: RemoteMethod, _ deadline: Duration, _ arguments: (inout MethodArguments) throws(WireError) -> Void
    ) async throws(QiError) -> Answer {
        guard let exact = method.content.exact, case .remote(let path) = handle.target else {
            return .value(try await convert(method, deadline, arguments))
        }
        guard !Task.isCancelled else { throw failure(.failure(CallFlight.cancellation), method, deadline) }
        // The buffer is in no variable of its own: one that two variables hold is copied at the next write.
        var filled = MethodArguments(
            bytes: path.loop.eventLoop.inEventLoop ? path.loop.bus.takeBuffer() : Self.allocator.buffer(capacity: 128), takesValues: false)
        try fill(arguments, into: &filled, method)
        let begun: CallFlight.Begun = await withUnsafeContinuation { task in
            if path.loop.eventLoop.inEventLoop {
                let bus = path.loop.bus
                Self.begin(task, exact.uid, filled.bytes, filled.tail, exact.returns, .within(deadline), path.object.value, bus)
                // The bytes of the arguments were copied into the frame.
                bus.takeBack(&filled.bytes)
            } else {
                let end = CallEnd.by(.now() + TimeAmount(deadline))
                path.loop.executor.submit { [bytes = filled.bytes, tail = filled.tail] in
                    Self.begin(task, exact.uid, bytes, tail, exact.returns, end, path.object.value, path.object.value.bus)
                }
            }
        }
        guard case .answer(.reply(let reply, let flags)) = begun else {
            return try await end(begun, exact.returns, method, deadline, path)
        }
        return flags.isEmpty ? .bytes(reply) : .value(try value(of: reply, flags, exact.returns, method))
    }

    /// A call that was not answered at once, or not with a result.
    private nonisolated(nonsending) func end(
        _ begun: CallFlight.Begun, _ returns: QiType, _ method: RemoteMethod, _ deadline: Duration, _ path: RemotePath
    ) async throws(QiError) -> Answer {
        switch await Self.end(of: begun, path) {
        case .answer(.reply(let reply, let flags)):
            return flags.isEmpty ? .bytes(reply) : .value(try value(of: reply, flags, returns, method))
        case .answer(let answer): throw failure(answer, method, deadline)
        case .value(let result): return .value(try result.get())
        }
    }

    private func value(
        of reply: ByteBuffer, _ flags: MessageFlags, _ returns: QiType, _ method: RemoteMethod
    ) throws(QiError) -> QiValue {
        do throws(WireError) {
            return try reply.value(of: returns, flags: flags)
        } catch {
            throw QiError(.invalid, "the result of \(name).\(method.name) cannot be read: \(error.message)")
        }
    }

    private func failure(_ answer: CallAnswer, _ method: RemoteMethod, _ deadline: Duration) -> QiError {
        let label = CallLabel(object: name, method: method.name)
        return Self.describe(answer.failure(of: "\(label)"), label, deadline)
    }

    /// A call whose arguments or result are converted, or that stays within the process.
    private nonisolated(nonsending) func convert(
        _ method: RemoteMethod, _ deadline: Duration, _ arguments: (inout MethodArguments) throws(WireError) -> Void
    ) async throws(QiError) -> QiValue {
        switch method.content.resolution {
        case .missing(let error): throw error
        case .exact(let found), .converting(let found):
            var filled = MethodArguments(bytes: ByteBuffer(), takesValues: true)
            try fill(arguments, into: &filled, method)
            return try await call(found, filled.values, deadline)
        }
    }

    private func fill(
        _ arguments: (inout MethodArguments) throws(WireError) -> Void, into filled: inout MethodArguments, _ method: RemoteMethod
    ) throws(QiError) {
        do {
            try arguments(&filled)
        } catch {
            throw QiError(.invalid, "the arguments of \(name).\(method.name) cannot be sent: \(error.message)")
        }
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
