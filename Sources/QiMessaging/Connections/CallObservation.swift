/// A call of an object that is watched, while it runs: what to tell of it at its end.
struct CallObservation: Sendable {
    var measurement: ObjectStatistics.Measurement?
    /// The number that its trace has.
    var trace: UInt32?
}
