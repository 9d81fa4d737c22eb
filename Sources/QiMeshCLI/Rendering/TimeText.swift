/// Times as people read them.
enum TimeText {
    /// How long ago something was: `now`, `42s`, `3m12s`, `5h04m`, `12d`.
    static func ago(_ seconds: Double) -> String {
        guard seconds.isFinite else { return "" }
        let total = Int(max(0, min(seconds, 1e12)))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        switch total {
        case ..<2: return "now"
        case ..<60: return "\(total)s"
        case ..<3_600: return "\(total / 60)m\(two(total % 60))s"
        case ..<86_400: return "\(total / 3_600)h\(two(total % 3_600 / 60))m"
        default: return "\(total / 86_400)d"
        }
    }

    /// A round trip: `2 ms`, below ten with a decimal.
    static func milliseconds(_ value: Double) -> String {
        guard value.isFinite, value < 1e9 else { return "" }
        return value < 10 ? "\((value * 10).rounded() / 10) ms" : "\(Int(value.rounded())) ms"
    }

    /// `10 s`, `0.5 s`: for messages.
    static func seconds(_ duration: Duration) -> String {
        let seconds = (inSeconds(duration) * 10).rounded() / 10
        return seconds == seconds.rounded() ? "\(Int(seconds)) s" : "\(seconds) s"
    }

    /// The duration as a number.
    static func inSeconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }
}
