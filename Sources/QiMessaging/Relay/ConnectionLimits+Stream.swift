import NIOCore
import QiWire

extension ConnectionLimits {
    /// Those of a device stream that carries such a connection.
    func stream(resume: TimeAmount) -> StreamStateMachine.Limits {
        var limits = StreamStateMachine.Limits()
        limits.receiving.message = maximumPayload + MessageHeader.length
        limits.resume = resume
        return limits
    }
}
