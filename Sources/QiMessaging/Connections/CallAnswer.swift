import NIOCore
import QiWire

/// How a call ended.
enum CallAnswer: Sendable {
    /// The return value, as the method's return signature says, or as a dynamic when the flag is set.
    case reply(ByteBuffer, flags: MessageFlags)
    /// The Error's payload, as it came.
    case error(ByteBuffer)
    /// The callee cancelled it.
    case canceled
    /// No answer came.
    indirect case failure(QiError)
}

typealias CallCompletion = (CallAnswer) -> Void

/// Looks at a reply that came when its call was given up.
typealias LateReply = (_ payload: ByteBuffer, _ flags: MessageFlags) -> Void
