import QiMesh

/// Why a command did not do what it was asked for, as it is told to people and to programs (reference "cli-and-config" §3).
struct CommandFailure: Error, Hashable {
    /// The kind, which decides the exit code.
    var code: Code
    /// What happened, and where. One sentence, without a final full stop.
    var message: String
    /// What to do about it, usually a command to type.
    var hint: String?
    /// The device concerned, as typed.
    var device: String?
    /// How long to wait before the same is granted, where a limit told.
    var retryAfter: Duration?
    /// What led to it, the nearest first.
    var causes: [String] = []

    init(_ code: Code, _ message: String, hint: String? = nil, device: String? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
        self.device = device
    }

    /// A command that was typed wrong.
    static func usage(_ message: String, hint: String? = nil) -> CommandFailure {
        CommandFailure(.usage, message, hint: hint)
    }

    /// A kind of failure, of which there is one vocabulary; its word is the `code` of the JSON form.
    typealias Code = MeshError.Code

    private static let lineLimit = 2_048

    /// For stderr: one line that says what happened and, with a hint, one that says what to do. What peers said is made
    /// harmless for a terminal.
    /// - Parameter detailed: whether to show all of a message of several lines: Python puts its stack trace into it.
    func lines(detailed: Bool) -> [String] {
        let all = message.split(whereSeparator: \.isNewline).map { Printable.line(String($0), limit: Self.lineLimit) }
        var lines = ["error: " + (all.first ?? "no reason was given")]
        if detailed {
            lines += all.dropFirst().map { "  " + $0 } + causes.map { "  because: " + Printable.line($0, limit: Self.lineLimit) }
        }
        if let hint { lines.append("  try: " + Printable.line(hint, limit: Self.lineLimit)) }
        return lines
    }

    /// The document of `--json`.
    var json: JSONValue {
        .object([
            ("ok", .bool(false)),
            (
                "error",
                .object([
                    ("code", .string("\(code)")), ("message", .string(message)),
                    ("hint", hint.map { .string($0) } ?? .null), ("device", device.map { .string($0) } ?? .null),
                    ("retryable", .bool(code.isRetryable || retryAfter != nil)),
                ])
            ),
        ])
    }
}
