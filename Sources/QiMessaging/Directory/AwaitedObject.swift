import QiWire

/// Stands for an object that is being described: keeps calls until it is known. Confined to the bus loop.
final class AwaitedObject: ObjectReceiver {
    private var calls: [IncomingCall] = []
    private var outcome: Result<any ObjectReceiver, QiError>?

    /// Posts have no answer that would bound how many wait.
    private static let maximumPosts = 256

    func receive(_ call: IncomingCall) {
        switch outcome {
        case .success(let object): call.connection.hand(call, to: object)
        case .failure(let error): call.fail(error.wireText)
        case nil:
            guard !call.isPost || calls.count(where: \.isPost) < Self.maximumPosts else { return }
            calls.append(call)
        }
    }

    /// It is known now, or will not be.
    func end(_ result: Result<any ObjectReceiver, QiError>) {
        guard outcome == nil else { return }
        outcome = result
        let waiting = calls
        calls = []
        for call in waiting { receive(call) }
    }

    func closed(_ connection: Connection) { end(.failure(QiError(.disconnected, "the connection is gone"))) }

    func released(_ address: ObjectAddress, on connection: Connection) {
        end(.failure(QiError(.notFound, "the service was unregistered")))
    }
}
