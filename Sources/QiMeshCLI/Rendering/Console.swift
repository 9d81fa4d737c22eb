import Foundation
import QiMesh

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
    /// What was typed, for advice that says it again.
    var typed: TypedCommand?
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
    var width: Int? { isTerminal.output ? Self.size(of: STDOUT_FILENO)?.columns : nil }

    /// The size of the terminal on stderr, nil when there is none or it does not tell.
    var errorSize: (columns: Int, lines: Int)? { isTerminal.errors ? Self.size(of: STDERR_FILENO) : nil }

    private static func size(of descriptor: Int32) -> (columns: Int, lines: Int)? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return (Int(size.ws_col), size.ws_row > 0 ? Int(size.ws_row) : .max)
    }

    /// A line of data. What others said in it stays on the line.
    func line(_ text: String) { Self.write(Printable.line(text) + "\n", to: STDOUT_FILENO) }

    /// A text that may have several lines, harmless for a terminal, which may as well be at the other end of a pipe. The text to the
    /// letter is in the document of `--json`.
    func data(_ text: String) { Self.write(Printable.block(text) + "\n", to: STDOUT_FILENO) }

    /// A table of data.
    func table(_ table: Table) { for line in table.lines(colour: colour, width: width) { Self.write(line + "\n", to: STDOUT_FILENO) } }

    /// A document of data.
    func document(_ json: JSONValue) { Self.write(json.text + "\n", to: STDOUT_FILENO) }

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
            } else if errno == EAGAIN {
                // Of a terminal or pipe that another program has set to non-blocking (open(2), O_NONBLOCK).
                var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&room, 1, -1)
            } else if errno != EINTR {
                // A lost stderr leaves no place to tell of it.
                if descriptor == STDOUT_FILENO { endWithoutOutput(errno) }
                return
            }
        }
    }

    /// Ends the process as `cat` does: silently, by the signal, when the reader has seen enough (`| head -1`); in words when the disk is
    /// full. NIO has the signal ignored, so it is raised here.
    private static func endWithoutOutput(_ error: Int32) -> Never {
        if error == EPIPE {
            signal(SIGPIPE, SIG_DFL)
            raise(SIGPIPE)
        }
        let failure = CommandFailure(.system, "the output cannot be written: \(String(cString: strerror(error)))")
        for line in failure.lines(detailed: false) { write(line + "\n", to: STDERR_FILENO) }
        exit(failure.code.exitStatus)
    }
}
