import NIOCore
import QiWire

extension ConnectionLimits {
    /// Those of a connection between two devices, whichever has opened it.
    func forDevice(callsInFlight: Int?) -> ConnectionLimits {
        var limits = self
        if let callsInFlight { limits.maximumCallsInFlight = callsInFlight }
        // A tunnel is slow: events that would wait in front of answers for minutes are of no use.
        limits.maximumEventBacklog = min(limits.maximumEventBacklog, 4 << 20)
        return limits
    }

    /// Those of a device stream that carries such a connection.
    func stream(resume: TimeAmount) -> StreamStateMachine.Limits {
        var limits = StreamStateMachine.Limits()
        limits.receiving.message = maximumPayload + MessageHeader.length
        limits.resume = resume
        return limits
    }
}
