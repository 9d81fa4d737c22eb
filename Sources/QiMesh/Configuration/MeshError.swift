/// What went wrong on a node, for programs (``code``), for people (``message`` and ``hint``) and for logs (``cause``,
/// ``location``).
///
/// Messages are whole sentences without the word "error", without secrets and without a final full stop; hints are a command or
/// an action. The command line prints them as `error: MESSAGE` and `try: HINT`.
public struct MeshError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure this is; decides the exit code of a command and whether trying again is of use.
    public var code: Code
    /// What happened, where.
    public var message: String
    /// What to do about it: usually a command to type. `nil` when there is nothing to advise.
    public var hint: String?
    /// The failure beneath, as thrown by the layer that met it.
    public var cause: (any Error)?
    /// How long to wait before the same request is granted, where a limit told.
    public var retryAfter: Duration?
    /// Where in this library the error was made; for logs, never shown to a user.
    public var location: Location

    /// A place in the sources of this library.
    public struct Location: Hashable, Sendable {
        /// `Module/File.swift`.
        public var file: String
        /// Counted from one.
        public var line: Int
    }

    /// Makes an error; the location is the caller's.
    @inline(never)
    public init(
        _ code: Code, _ message: String, hint: String? = nil, cause: (any Error)? = nil,
        file: String = #fileID, line: Int = #line
    ) {
        self.code = code
        self.message = message
        self.hint = hint
        self.cause = cause
        self.location = Location(file: file, line: line)
    }

    /// The message, and after it the hint in brackets: one line, fit for a log.
    public var description: String {
        guard let hint else { return message }
        return "\(message) (try: \(hint))"
    }

    /// The description, the chain of causes and the place, one to a line: what `-vv` shows.
    public func detailedDescription() -> String {
        var lines = ["\(code): \(message)"]
        if let hint { lines.append("  try: \(hint)") }
        lines.append("  at \(location.file):\(location.line)")
        lines += causes.map { "  because: \($0)" }
        return lines.joined(separator: "\n")
    }
}
