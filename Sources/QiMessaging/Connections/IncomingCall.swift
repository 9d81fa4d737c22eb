import NIOCore
import QiWire

/// A Call or Post that arrived on a connection, and the one place that answers it: exactly once, whatever its receiver
/// does. Confined to the bus loop.
final class IncomingCall {
    let connection: Connection
    let header: MessageHeader
    let payload: ByteBuffer
    private(set) var isAnswered: Bool
    /// Asks whoever serves the call to end it; set by receivers that can.
    var onCancel: (() -> Void)?

    init(connection: Connection, message: Message) {
        self.connection = connection
        header = message.header
        payload = message.payload
        isAnswered = message.header.kind == .post
    }

    var isPost: Bool { header.kind == .post }
    var address: ActionAddress { header.address }

    func reply(_ payload: ByteBuffer, flags: MessageFlags = []) { answer(.reply, payload, flags) }

    /// Answers with an Error that carries `text`.
    func fail(_ text: String) {
        var payload = ByteBuffer()
        payload.writeErrorPayload(text)
        answer(.error, payload)
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

    private func answer(_ kind: MessageKind, _ payload: ByteBuffer, _ flags: MessageFlags = []) {
        guard !isAnswered else { return }
        isAnswered = true
        onCancel = nil
        connection.answered(self)
        connection.send(kind, id: header.id, address: header.address, flags: flags, payload: payload)
    }

    /// The connection is gone: nobody can be answered any more.
    func abandon() {
        guard !isAnswered else { return }
        isAnswered = true
        let cancel = onCancel
        onCancel = nil
        cancel?()
    }
}
