import Foundation

/// Where a command speaks: data on stdout, everything else on stderr (reference "cli-and-config" §1).
struct Console: Sendable {
    /// One JSON document on stdout instead of text; errors too.
    var json = false
    /// Nothing on stderr but errors.
    var quiet = false
    /// How often `-v` was given.
    var verbosity = 0
    /// Whether text on stdout has colour.
    var colour = false
    /// Whether stdout and stderr are terminals.
    var isTerminal = (output: false, errors: false)

    /// The console of this process.
    init(json: Bool, quiet: Bool, verbosity: Int, colour: ColourChoice, environment: [String: String]) {
        self.json = json
        self.quiet = quiet
        self.verbosity = verbosity
        isTerminal = (isatty(STDOUT_FILENO) == 1, isatty(STDERR_FILENO) == 1)
        self.colour = colour.isOn(terminal: isTerminal.output, environment: environment)
    }

    /// The same without remarks and progress, for a step within a step.
    var silent: Console {
        var console = self
        console.quiet = true
        return console
    }

    /// The columns of the terminal on stdout, nil when there is none.
    private var width: Int? { isTerminal.output ? Self.width(of: STDOUT_FILENO) : nil }

    /// The columns of the terminal on stderr, nil when there is none.
    var errorWidth: Int? { isTerminal.errors ? Self.width(of: STDERR_FILENO) : nil }

    private static func width(of descriptor: Int32) -> Int? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// A line of data.
    func line(_ text: String) { Self.write(text + "\n", to: STDOUT_FILENO) }

    /// A text that may have several lines: as it is into a pipe, harmless for a terminal.
    func data(_ text: String) { line(isTerminal.output ? Printable.block(text) : text) }

    /// A table of data.
    func table(_ table: Table) { for line in table.lines(colour: colour, width: width) { self.line(line) } }

    /// A document of data.
    func document(_ json: JSONValue) { line(json.text) }

    /// The document of a command that did what it should: `members` after `"ok":true`.
    func done(_ members: JSONValue = .object([])) { document(members.adding([("ok", .bool(true))])) }

    /// A remark for people.
    func note(_ text: String) {
        if !quiet { Self.write(Printable.line(text) + "\n", to: STDERR_FILENO) }
    }

    /// Lines of our own making on stderr, escape sequences and all.
    func picture(_ lines: [String]) {
        for line in lines { Self.write(line + "\n", to: STDERR_FILENO) }
    }

    /// A line on stderr that scripts wait for, quiet or not.
    func always(_ text: String) { Self.write(Printable.line(text) + "\n", to: STDERR_FILENO) }

    /// A remark for who asked for more with `-v`.
    func detail(_ text: @autoclosure () -> String) {
        if verbosity > 0 { note(text()) }
    }

    /// Why the command fails.
    func failure(_ failure: CommandFailure) {
        if json {
            document(failure.json)
        } else {
            for line in failure.lines(detailed: verbosity > 1) { Self.write(line + "\n", to: STDERR_FILENO) }
        }
    }

    /// Shows `text` in place of the line written this way before; empty clears it. On a terminal only.
    func progress(_ text: String) {
        guard isTerminal.errors, !quiet, !json else { return }
        Self.write("\r\u{1B}[K" + Printable.line(text), to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                // A reader that has seen enough (`| head`) is no failure of ours; a lost stderr leaves nobody to tell.
                if descriptor == STDOUT_FILENO { exit(errno == EPIPE ? 0 : CommandFailure.Code.system.exitStatus) }
                return
            }
        }
    }
}
