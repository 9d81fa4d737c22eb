import ArgumentParser
import QiMesh

/// `qimesh policy check`.
struct PolicyCheck: PolicyVerb {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Which rule decides, and how.",
        discussion: """
            WHO is one caller: a JID, app:NAME, user:NAME, cert:FINGERPRINT, host:ADDRESS or zone:lan. ACTION is call, subscribe, \
            read, write, emit or register. Exit status 4: denied.
            """)

    @Argument(help: "The caller; a contact by its name, too.") var who: String
    @Argument(help: "Service.member; for register the name of a service.") var target: String
    @Argument(help: "What it wants to do.") var action = "call"

    @Option(help: "Where the caller comes in: internal, lan or internet (default: the usual one of its kind).")
    var zone: String?

    @OptionGroup var policy: PolicyOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    /// A denial is an answer, and its exit status one too.
    func run() async throws {
        let console = output.console
        let isAllowed: Bool
        do throws(CommandFailure) {
            isAllowed = try await check(console)
        } catch {
            console.failure(error)
            throw ExitCode(error.code.exitStatus)
        }
        guard isAllowed else { throw ExitCode(CommandFailure.Code.denied.exitStatus) }
    }

    func perform(_ console: Console) async throws(CommandFailure) { _ = try await check(console) }

    private func check(_ console: Console) async throws(CommandFailure) -> Bool {
        let target = try Target(target)
        let zone = zone?.nilIfEmpty
        // What can be no contact's name is wrong without asking the node.
        if who.contains(where: { "@:".contains($0) }) { _ = try question(who, target, zone) }
        return try await withPolicy(console) { (source) async throws(CommandFailure) in
            let who = try await source.caller(who)
            let question = try question(who, target, zone)
            if let device = target.device { try await require(device, target.rest, source) }
            let answer = try await source.answer(question, who: who, target: target.rest, action: action, zone: zone)
            if console.json { console.done(Self.json(answer)) } else { console.line(Printable.line(answer.text)) }
            return answer.allowed
        }
    }

    private func question(_ who: String, _ target: Target, _ zone: String?) throws(CommandFailure) -> PolicyQuestion {
        do throws(MeshError) {
            return try PolicyQuestion(who: who, target: target.rest, action: action, zone: zone ?? "")
        } catch {
            throw CommandFailure(error)
        }
    }

    /// A policy is its own device's: only that one knows it.
    private func require(_ device: DeviceName, _ rest: String, _ source: PolicySource) async throws(CommandFailure) {
        // A file is whoever's it is.
        guard case .node(let control) = source else { return }
        let identity = try await control.ask { try await $0.identity() }
        guard ([identity.name] + identity.jids).contains(device.text) else {
            throw .usage(
                "\(device.text) is another device: its policy is asked there",
                hint: "on \(device.text): qimesh policy check \(word: who) \(word: rest) \(word: action)")
        }
    }

    static func json(_ answer: PolicyAnswer) -> JSONValue {
        func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
        return .object([
            ("decision", answer.allowed ? "allow" : "deny"), ("rule", answer.rule.map { .integer(Int64($0)) } ?? .null),
            ("place", text(answer.place)), ("who", text(answer.who)), ("entry", text(answer.entry)), ("limit", text(answer.limit)),
            ("reason", text(answer.reason)),
        ])
    }
}
