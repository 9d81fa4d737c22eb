/// An event, and how many of its signal were left out before it.
public struct SignalEvent<Value: Sendable>: Sendable {
    /// The signal's arguments.
    public let value: Value
    /// How many events of the signal were raised since the one that the reader got before, and did not come: those that were left out on
    /// the way, and those that were dropped because the reader was busy.
    public var missed: Int
}
