/// What became of the questions of a ping, as a value.
struct PingTally: Hashable {
    private(set) var sent = 0
    private var roundTrips: [Double] = []

    var answered: Int { roundTrips.count }

    /// - Parameter milliseconds: the round trip; nil for a question that was not answered.
    mutating func ended(_ milliseconds: Double?) {
        sent += 1
        if let milliseconds { roundTrips.append(milliseconds) }
    }

    /// Least, mean and most, in milliseconds; nil when nothing was answered.
    private var figures: (least: Double, mean: Double, most: Double)? {
        guard let least = roundTrips.min(), let most = roundTrips.max() else { return nil }
        return (least, roundTrips.reduce(0, +) / Double(roundTrips.count), most)
    }

    /// `4 sent, 3 answered, 25 % lost, round trip 60 ms / 61 ms / 63 ms (least / mean / most)`.
    var text: String {
        let lost = sent == 0 ? 0 : Int((100 * Double(sent - answered) / Double(sent)).rounded())
        let start = "\(sent) sent, \(answered) answered, \(lost) % lost"
        guard let figures else { return start }
        let times = [figures.least, figures.mean, figures.most].map(TimeText.milliseconds).joined(separator: " / ")
        return start + ", round trip \(times) (least / mean / most)"
    }

    /// The last document of `--json`; round trips in milliseconds.
    var json: JSONValue {
        func number(_ value: Double?) -> JSONValue { value.map { .number(PingTally.rounded($0)) } ?? .null }
        return .object([
            ("ok", .bool(answered > 0)), ("sent", .integer(Int64(sent))), ("answered", .integer(Int64(answered))),
            ("least", number(figures?.least)), ("mean", number(figures?.mean)), ("most", number(figures?.most)),
        ])
    }

    /// Microseconds are as fine as it is measured.
    static func rounded(_ milliseconds: Double) -> Double { (milliseconds * 1_000).rounded() / 1_000 }
}
