import QiWire

/// Methods that never suspend.
extension Connection {
    /// Answers a call with what `body` makes of it, without an object that stands for the call.
    func answer(_ message: Message, immediately body: MethodCall.Immediate) {
        var frame = MethodCall(bytes: message.payload, result: bus.takeBuffer(), givesValue: false)
        do {
            try body(&frame)
            send(.reply, id: message.id, address: message.address, payload: frame.result, tail: frame.tail)
        } catch {
            IncomingCall(connection: self, message: message).fail(error.callText)
        }
        bus.takeBack(&frame.result)
    }
}
