import ArgumentParser
import Foundation
import QiMesh

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
        var console = Console(
            json: json, quiet: quiet, verbosity: verbose, colour: color, environment: ProcessInfo.processInfo.environment)
        console.typed = TypedCommand(Array(CommandLine.arguments.dropFirst()))
        return console
    }
}

/// The options of commands that ask a node or a robot.
struct NodeOptions: ParsableArguments {
    @Option(
        name: [.customShort("u"), .customLong("url"), .customLong("qi-url")],
        help: "The directory to ask (tcp://HOST:PORT, unix:/PATH); default: $QIMESH_URL, $QI_URL, this user's node.")
    var url: String?

    @Option(help: "Log in there as this user: at a gateway, at a robot (tcps://HOST:9503).")
    var user: String?

    @Option(help: "Holds the user's token in its first line, mode 0600 (default: ~/.config/qimesh/auth: user, then token).")
    var tokenFile: String?

    @Option(help: "The certificate that has to be shown there, a PEM file (default: the key of the first login).")
    var certificate: String?

    @Option(
        help: "The key that has to be shown there, SHA256:…, as `qimesh user add` prints it; it is remembered.",
        transform: { text in
            guard let key = KeyFingerprint(text) else { throw ValidationError("\"\(text)\" is no fingerprint, SHA256: and 43 characters") }
            return key
        })
    var fingerprint: KeyFingerprint?

    @Flag(help: "Send the token to whatever answers there, unchecked.")
    var insecure = false

    @Option(help: "The longest to wait, e.g. 500ms, 5s, 2m (default: 10s, 30s to reach a device; $QIMESH_TIMEOUT).")
    var timeout: TimeSpan?

    /// How to come in at `directory`.
    /// - Throws: `usage` for a login that is for no URL, `configuration` for an unusable token file.
    func entrance(to directory: DirectoryCandidates) throws(CommandFailure) -> Entrance {
        let check = try self.check
        guard user != nil || tokenFile != nil || check != .known else { return Entrance() }
        guard directory.source != nil else {
            throw .usage("a login is for a directory at an address, and none is named: --url tcps://HOST:PORT")
        }
        guard let user else {
            if tokenFile != nil { throw .usage("a token is for a user, and none is named: --user NAME") }
            return Entrance(check: check)
        }
        do throws(MeshError) {
            let credentials = try Login.credentials(of: user, tokenFile: tokenFile, paths: .current())
            // It holds a token from here on.
            try ProcessSeal.close()
            return Entrance(credentials: credentials, check: check)
        } catch {
            throw CommandFailure(error)
        }
    }

    private var check: Entrance.Check {
        get throws(CommandFailure) {
            switch (certificate, fingerprint, insecure) {
            case (nil, nil, false): return .known
            case (let file?, nil, false): return .certificate(file)
            case (nil, let key?, false): return .key(key)
            case (nil, nil, true): return .insecure
            default: throw .usage("--certificate, --fingerprint and --insecure are three answers to one question", hint: "qimesh help ls")
            }
        }
    }

    /// The times to wait for each step.
    /// - Throws: `usage` for an unusable `$QIMESH_TIMEOUT`.
    func patience(_ environment: [String: String]) throws(CommandFailure) -> Patience {
        if let timeout { return Patience(limit: timeout.duration) }
        guard let text = environment["QIMESH_TIMEOUT"], !text.isEmpty else { return Patience(limit: nil) }
        guard let span = TimeSpan(argument: text) else {
            throw .usage("QIMESH_TIMEOUT=\(text) is not a time, such as 500ms, 5s, 2m")
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
