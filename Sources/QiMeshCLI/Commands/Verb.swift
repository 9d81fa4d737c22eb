import ArgumentParser
import Foundation
import QiMesh

/// A command: does its work with a console, and fails with a ``CommandFailure``.
protocol Verb: AsyncParsableCommand {
    var output: OutputOptions { get }
    func perform(_ console: Console) async throws(CommandFailure)
}

extension Verb {
    /// Performs, tells a failure, and ends with its exit status.
    func run() async throws {
        let console = output.console
        do throws(CommandFailure) {
            try await perform(console)
        } catch {
            console.failure(error)
            throw ExitCode(error.code.exitStatus)
        }
    }

    /// The variables of this process.
    var environment: [String: String] { ProcessInfo.processInfo.environment }
}

/// A command that asks a directory.
protocol NodeVerb: Verb {
    var node: NodeOptions { get }
}

extension NodeVerb {
    /// Runs `body` with a session: of the device's own directory if it is named by URL, else of the local node.
    func withSession<Result: Sendable>(
        _ console: Console, device: DeviceName? = nil, _ body: (NodeSession) async throws(CommandFailure) -> Result
    ) async throws(CommandFailure) -> Result {
        let candidates = switch device {
        case .directory(let url): DirectoryCandidates(url: url, environment: [:])
        case .contact: DirectoryCandidates(url: node.url, environment: environment, for: .contacts)
        case nil: DirectoryCandidates(url: node.url, environment: environment)
        }
        return try await NodeSession.with(
            candidates, by: node.entrance(to: candidates), patience: node.patience(environment), console: console, body)
    }

    /// Runs `body` with the control interface of this user's node.
    func withControl<Result: Sendable>(
        _ console: Console, _ body: (ControlInterface, NodeSession) async throws(CommandFailure) -> Result
    ) async throws(CommandFailure) -> Result {
        let candidates = DirectoryCandidates(url: node.url, environment: environment, for: .control)
        let patience = try node.patience(environment)
        return try await NodeSession.with(candidates, by: node.entrance(to: candidates), patience: patience, console: console) {
            (session) async throws(CommandFailure) in
            try await body(session.control(), session)
        }
    }
}
