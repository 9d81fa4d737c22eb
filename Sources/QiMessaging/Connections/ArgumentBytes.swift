/// What is kept of the peer's calls until they are answered, in bytes: bounded for the connection, for its principal where a policy
/// judges it (``ArgumentMeter``), and for all connections of the bus. A value.
struct ArgumentBytes {
    /// Of calls in flight, and of posts that run.
    private(set) var inFlight = 0
    /// Of the frame whose end has not come, as far as it was counted.
    private(set) var inFrame = 0
    private(set) var meter: ArgumentMeter?

    var total: Int { inFlight + inFrame }

    /// A frame that is shorter is not counted before its end.
    static let leastFrame = 4096

    /// What is kept counts for another principal from now on; nil: for none.
    mutating func move(to other: ArgumentMeter?) {
        meter?.remove(total)
        other?.add(total)
        meter = other
    }

    mutating func keep(_ bytes: Int) {
        inFlight += bytes
        meter?.add(bytes)
    }

    mutating func drop(_ bytes: Int) {
        inFlight -= bytes
        meter?.remove(bytes)
    }

    /// Answers how many bytes more that is than before.
    mutating func count(inFrame bytes: Int) -> Int {
        let more = bytes - inFrame
        meter?.add(more)
        inFrame = bytes
        return more
    }
}
