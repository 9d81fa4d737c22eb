import ArgumentParser

/// When output has colour.
enum ColourChoice: String, ExpressibleByArgument, CaseIterable {
    case auto, always, never

    /// Whether to colour, by <https://no-color.org> and the convention of `CLICOLOR`; the option outranks the environment.
    func isOn(terminal: Bool, environment: [String: String]) -> Bool {
        switch self {
        case .always: return true
        case .never: return false
        case .auto:
            if let value = environment["NO_COLOR"], !value.isEmpty { return false }
            if environment["CLICOLOR"] == "0" || environment["TERM"] == "dumb" { return false }
            return terminal
        }
    }
}

/// What a cell of a table means; on a terminal a colour.
enum Tint: String {
    case plain = ""
    case good = "32"
    case pending = "33"
    case bad = "31"
    case faint = "2"

    /// The text in this colour (ECMA-48 SGR).
    func apply(to text: String) -> String { self == .plain ? text : "\u{1B}[\(rawValue)m\(text)\u{1B}[0m" }

    /// The colour of a device's or account's state.
    init(state: String) {
        switch state {
        case "online": self = .good
        case "stale", "asks", "invited", "connecting", "waiting", "unconfirmed": self = .pending
        case "refused", "stopped": self = .bad
        case "offline", "unknown": self = .faint
        default: self = .plain
        }
    }
}
