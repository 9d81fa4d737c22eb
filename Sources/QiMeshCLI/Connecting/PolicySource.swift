import ArgumentParser
import Foundation
import QiMesh
import QiMessaging

/// Where a command takes the policy from.
struct PolicyOptions: ParsableArguments {
    @Option(help: "A policy file to ask instead of the node.")
    var file: String?

    @Option(help: "The configuration, which says where the policy file is when no node runs.")
    var config: String?
}

/// The policy that is asked: the one in force on the running node, or a file's.
enum PolicySource: Sendable {
    case node(ControlInterface)
    case file(PolicyFile)

    /// The policy in words.
    func show() async throws(CommandFailure) -> PolicyListing {
        switch self {
        case .node(let control): try await control.ask { try await $0.policy() }
        case .file(let file): PolicyText.listing(of: file.policy, path: file.path)
        }
    }

    /// The caller that is meant: a contact's name stands for its address, where a node knows it.
    func caller(_ text: String) async throws(CommandFailure) -> String {
        guard case .node(let control) = self, !text.contains(where: { "@:".contains($0) }) else { return text }
        do throws(CommandFailure) {
            return try await control.ask { try await $0.trust(text) }.jid
        } catch {
            // Then it has to be another kind of caller, and is judged as one.
            if error.code == .notFound { return text }
            throw error
        }
    }

    /// What the policy says to a question.
    func answer(
        _ question: PolicyQuestion, who: String, target: String, action: String, zone: String?, at time: Int64? = nil
    ) async throws(CommandFailure) -> PolicyAnswer {
        switch self {
        case .file(let file): return PolicyText.answer(question.answer(by: file.policy, at: time ?? WallClock.seconds))
        case .node(let control):
            guard time == nil else {
                throw .usage("a running node is asked about now only", hint: "the same with --file, and the path of policy.yaml")
            }
            return try await control.ask {
                try await $0.checkPolicy(who: who, target: target, action: action, zone: zone)
            }
        }
    }
}

/// A command about the policy: asks the file that is named, else the node, else the file that the node would read.
protocol PolicyVerb: NodeVerb {
    var policy: PolicyOptions { get }
}

extension PolicyVerb {
    func withPolicy<Result: Sendable>(
        _ console: Console, _ body: (PolicySource) async throws(CommandFailure) -> Result
    ) async throws(CommandFailure) -> Result {
        if let file = policy.file { return try await body(.file(try Self.load(file))) }
        do throws(CommandFailure) {
            return try await withControl(console.silent) { (control, _) async throws(CommandFailure) in
                console.detail("asking the node")
                return try await body(.node(control))
            }
        } catch {
            guard error.code == .offline, node.url == nil, let file = try configuredFile() else { throw error }
            console.note("no node runs: asking \(file.path)")
            return try await body(.file(file))
        }
    }

    private static func load(_ path: String) throws(CommandFailure) -> PolicyFile {
        do throws(MeshError) { return try PolicyFile.load(path) } catch { throw CommandFailure(error) }
    }

    private func configuredFile() throws(CommandFailure) -> PolicyFile? {
        do throws(MeshError) {
            let paths = try MeshPaths.current(configuration: policy.config)
            let configuration = try MeshConfiguration.load(paths: paths)
            guard let path = configuration.policyFile(paths: paths) else { return nil }
            return try PolicyFile.load(path, for: configuration)
        } catch {
            throw CommandFailure(error)
        }
    }
}
