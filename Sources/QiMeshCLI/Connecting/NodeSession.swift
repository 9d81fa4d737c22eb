import Foundation
import Logging
import QiMesh
import QiMessaging
import QiWire

/// A session with the directory a command asks.
struct NodeSession: Sendable {
    let session: Session
    /// The URL that answered.
    let url: String
    let patience: Patience
    let console: Console

    /// The way a call takes: of the address kinds so far, a contact's services come through XMPP.
    func path(to device: DeviceName?) -> String {
        if case .contact = device { return "xmpp" }
        return String(url.prefix { $0 != ":" })
    }

    /// Connects to the first candidate that answers, runs `body` and closes the session.
    /// - Throws: `offline` when none answers, and what `body` throws.
    static func with<Result: Sendable>(
        _ candidates: DirectoryCandidates, by entrance: Entrance, patience: Patience, console: Console,
        _ body: (NodeSession) async throws(CommandFailure) -> Result
    ) async throws(CommandFailure) -> Result {
        let (session, url) = try await connect(candidates, entrance, patience, console)
        console.detail("connected to \(url)")
        let node = NodeSession(session: session, url: url, patience: patience, console: console)
        do throws(CommandFailure) {
            let result = try await body(node)
            await session.close()
            return result
        } catch {
            await session.close()
            throw error
        }
    }

    private static func connect(
        _ candidates: DirectoryCandidates, _ entrance: Entrance, _ patience: Patience, _ console: Console
    ) async throws(CommandFailure) -> (Session, String) {
        try candidates.check()
        var failures: [QiError] = []
        for url in candidates.urls {
            let door = try DoorCheck(url, entrance, console)
            let trust = try await door?.trust(patience)
            let result = try await patience.wait(for: "an answer of \(url)", atMost: patience.answer, console) {
                () async throws(CommandFailure) -> Result<Session, QiError> in
                do throws(QiError) {
                    return .success(try await Session.connect(url, options: options(entrance, trust, console)))
                } catch {
                    return .failure(error)
                }
            }
            switch result {
            case .success(let session):
                do throws(CommandFailure) { try door?.connected() } catch {
                    await session.close()
                    throw error
                }
                return (session, url)
            case .failure(let error):
                if let failure = await door?.explain(error, patience) { throw failure }
                console.detail("\(url): \(error.message)")
                failures.append(error)
            }
        }
        throw unreachable(candidates, entrance, failures, console)
    }

    /// Nobody answered: of several places, the one that answered but refused matters.
    private static func unreachable(
        _ candidates: DirectoryCandidates, _ entrance: Entrance, _ failures: [QiError], _ console: Console
    ) -> CommandFailure {
        if let source = candidates.source, let error = failures.first {
            var failure = CommandFailure(error)
            if error.code == .invalid { failure.code = .usage }
            if error.code == .disconnected { failure.code = .offline }
            // What a policy there says is no matter of the login or the address, and ends with a command.
            let isOfPolicy = error.message.hasPrefix("denied: ")
            // A handshake that failed has a cause, and no login mends it.
            if error.code == .denied, failure.hint == nil, !isOfPolicy, error.cause == nil {
                failure.hint = entrance.advice(candidates, console.typed)
            }
            if error.message.hasSuffix("it speaks TLS (tcps://)"), let url = candidates.urls.first, url.hasPrefix("tcp://") {
                failure.hint = "qimesh ls --url \(word: "tcps" + url.dropFirst(3))"
            }
            if !isOfPolicy { failure.message += " (\(source))" }
            return failure
        }
        if let error = failures.first(where: { $0.code != .offline && $0.code != .disconnected }) { return CommandFailure(error) }
        return CommandFailure(
            .offline, "no node answers on this machine: tried \(candidates.urls.joined(separator: ", "))", hint: "qimesh up")
    }

    private static func options(_ entrance: Entrance, _ trust: TLSOptions.Trust?, _ console: Console) -> Session.Options {
        var options = Session.Options()
        options.credentials = entrance.credentials
        options.tls.trust = trust
        // What goes wrong is told once, by the failure.
        let level = console.verbosity > 1 ? Logger.Level.debug : .critical
        options.logger = Logger(label: "qimesh") { PrintableLogHandler.standardError(label: $0, level: level) }
        return options
    }
}
