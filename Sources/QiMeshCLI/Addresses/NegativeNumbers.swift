/// Lets `qimesh call Service.turn -90` mean a number and not the option `-9`.
enum NegativeNumbers {
    /// The arguments of the verbs that take values, with a blank before each negative number; JSON ignores it.
    static func protected(_ arguments: [String]) -> [String] {
        guard let verb = arguments.first(where: { !$0.hasPrefix("-") }), ["call", "set"].contains(verb) else { return arguments }
        let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
        return arguments[..<end].map { isNegativeNumber($0) ? " " + $0 : $0 } + arguments[end...]
    }

    private static func isNegativeNumber(_ text: String) -> Bool { text.hasPrefix("-") && NumberText(text) != nil }
}
