import Foundation
import QiMesh
import QiMessaging

/// Sees to it that a token goes to the door that is meant, as ssh does with hosts: the first login pins the door's key, after a person has
/// compared it, and another key is refused.
struct DoorCheck {
    let url: String
    let entrance: Entrance
    let doors: KnownDoors
    let console: Console
    /// The words of this command behind `qimesh`, for what to type.
    let arguments: [String]

    /// - Returns: nil where no check is wanted or none is possible: no `tcps`, or no token to lose.
    init?(_ url: String, _ entrance: Entrance, _ console: Console) throws(CommandFailure) {
        guard case .tls(_, _, mutual: false)? = Endpoint(url)?.kind else { return nil }
        self.url = url
        self.entrance = entrance
        self.console = console
        arguments = Array(CommandLine.arguments.dropFirst())
        do throws(MeshError) {
            doors = KnownDoors(file: try MeshPaths.current().knownDoorFile)
        } catch {
            throw CommandFailure(error)
        }
    }

    /// What the door has to show; nil for anything, and then no token is sent.
    ///
    /// - Throws: `trust` where the key is not known and there is no person to ask, or that person does not know it.
    func trust(_ patience: Patience) async throws(CommandFailure) -> TLSOptions.Trust? {
        switch entrance.check {
        case .certificate(let path):
            let bytes: [UInt8]
            do throws(MeshError) { bytes = try Login.certificate(in: path) } catch { throw CommandFailure(error) }
            guard String(decoding: bytes, as: UTF8.self).contains("-----BEGIN CERTIFICATE-----") else {
                throw CommandFailure(.configuration, "\(path) holds no certificate in PEM")
            }
            return .pinned([.pem(bytes)])
        case .insecure:
            if entrance.credentials != nil { console.note("whatever answers at \(url) gets the token: --insecure") }
            return .unchecked
        case .key(let key): return .keys([key.hexadecimal])
        case .known:
            if let key = try known() { return .keys([key.hexadecimal]) }
            guard entrance.credentials != nil else { return nil }
            let shown = try await shown(patience)
            guard asks(shown) else { throw Self.unknown(shown, url, Self.command(arguments, shown)) }
            try remember(shown)
            return .keys([shown.hexadecimal])
        }
    }

    /// What is wrong when a checked door was not reached: another key, if it is that.
    func explain(_ error: QiError, _ patience: Patience) async -> CommandFailure? {
        guard error.code == .denied, error.cause != nil else { return nil }
        do throws(CommandFailure) {
            let wanted: KeyFingerprint
            switch entrance.check {
            case .key(let key): wanted = key
            case .known:
                guard let key = try known() else { return nil }
                wanted = key
            case .certificate, .insecure: return nil
            }
            let shown = try await shown(patience)
            return shown == wanted ? nil : Self.changed(shown, wanted, url, Self.command(arguments, shown))
        } catch {
            console.detail("\(url) shows no key: \(error.message)")
            return nil
        }
    }

    /// Keeps a key that was given on the command line, once it was shown.
    func connected() throws(CommandFailure) {
        guard case .key(let key) = entrance.check else { return }
        if let former = try known(), former != key { console.note("the key of \(url) was \(former) until now") }
        try remember(key)
    }

    // MARK: - Words

    static func unknown(_ shown: KeyFingerprint, _ url: String, _ command: String) -> CommandFailure {
        CommandFailure(
            .trust,
            "this is the first login at \(url), which shows the key \(shown): compare it with what `qimesh user add` or "
                + "`qimesh status` printed there; no token was sent",
            hint: command)
    }

    static func changed(_ shown: KeyFingerprint, _ wanted: KeyFingerprint, _ url: String, _ command: String) -> CommandFailure {
        CommandFailure(
            .trust,
            "\(url) is not what it was: it shows the key \(shown), and the one known for it is \(wanted). Another machine may be in "
                + "between, or it has a new certificate: ask its owner, who sees the key with `qimesh status`; no token was sent",
            hint: command)
    }

    /// This command with the key, complete.
    static func command(_ arguments: [String], _ key: KeyFingerprint) -> String {
        let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
        var words: [String] = []
        var skips = false
        for word in arguments[..<end] {
            if !skips, word != "--fingerprint", !word.hasPrefix("--fingerprint=") { words.append(word) }
            skips = !skips && word == "--fingerprint"
        }
        words += ["--fingerprint", "\(key)"] + arguments[end...]
        return (["qimesh"] + words.map(ShellWord.quoted)).joined(separator: " ")
    }

    // MARK: - Keys

    /// A person at a terminal is asked whether the key is the right one.
    private func asks(_ shown: KeyFingerprint) -> Bool {
        guard !console.json, console.isTerminal.errors, isatty(STDIN_FILENO) == 1 else { return false }
        console.always("This is the first login at \(url), which shows the key")
        console.always("    \(shown)")
        console.always("Is that what `qimesh user add` or `qimesh status` printed there?")
        console.always("Type yes to send the token, and to remember the key:")
        return readLine()?.lowercased() == "yes"
    }

    private func shown(_ patience: Patience) async throws(CommandFailure) -> KeyFingerprint {
        do throws(QiError) {
            let text = try await Session.keyShown(at: url, deadline: patience.answer)
            guard let key = KeyFingerprint(hexadecimal: text) else { throw QiError(.denied, "\(url) shows no key that can be read") }
            return key
        } catch {
            var failure = CommandFailure(error)
            if error.code == .disconnected { failure.code = .offline }
            throw failure
        }
    }

    private func known() throws(CommandFailure) -> KeyFingerprint? {
        do throws(MeshError) { return try doors.key(of: url) } catch { throw CommandFailure(error) }
    }

    private func remember(_ key: KeyFingerprint) throws(CommandFailure) {
        do throws(MeshError) { try doors.remember(key, of: url) } catch { throw CommandFailure(error) }
    }
}
