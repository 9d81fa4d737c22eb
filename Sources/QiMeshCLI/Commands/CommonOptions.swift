import ArgumentParser
import Foundation

/// The options of every command.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one JSON document, for errors too; a stream prints one per line.")
    var json = false

    @Flag(name: .shortAndLong, help: "Print no remarks.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Say which way was taken; twice: log the connection too.")
    var verbose: Int

    @Option(help: "When to colour.")
    var color = ColourChoice.auto

    /// Where the command speaks.
    var console: Console {
        Console(
            json: json, quiet: quiet, verbosity: verbose, colour: color, environment: ProcessInfo.processInfo.environment)
    }
}

/// The options of commands that ask a node or a robot.
struct NodeOptions: ParsableArguments {
    @Option(
        name: [.customShort("u"), .customLong("url"), .customLong("qi-url")],
        help: "The directory to ask (tcp://HOST:PORT, unix:/PATH); default: $QIMESH_URL, $QI_URL, this user's node.")
    var url: String?

    @Option(help: "The longest to wait, e.g. 500ms, 5s, 2m (default: 10s, 30s to reach a device; $QIMESH_TIMEOUT).")
    var timeout: TimeSpan?

    /// The times to wait for each step.
    /// - Throws: `usage` for an unusable `$QIMESH_TIMEOUT`.
    func patience(_ environment: [String: String]) throws(CommandFailure) -> Patience {
        if let timeout { return Patience(limit: timeout.duration) }
        guard let text = environment["QIMESH_TIMEOUT"], !text.isEmpty else { return Patience(limit: nil) }
        guard let span = TimeSpan(argument: text) else {
            throw .usage("QIMESH_TIMEOUT=\(text) is not a time", hint: "for example 500ms, 5s, 2m")
        }
        return Patience(limit: span.duration)
    }
}

/// The option of commands that take a target.
struct DeviceOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "The device of a target that names none: nickname, JID or URL (default: $QIMESH_DEVICE).")
    var device: String?

    /// The device, nil for the local one.
    /// - Throws: `usage` for a text that is no device.
    func name(_ environment: [String: String]) throws(CommandFailure) -> DeviceName? { try Self.name(device, environment) }

    /// The same for a device that is an argument.
    static func name(_ device: String?, _ environment: [String: String]) throws(CommandFailure) -> DeviceName? {
        guard let text = device ?? environment["QIMESH_DEVICE"].flatMap({ $0.isEmpty ? nil : $0 }) else { return nil }
        return try DeviceName(text)
    }
}
