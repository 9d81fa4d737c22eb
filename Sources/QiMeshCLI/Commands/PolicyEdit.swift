import ArgumentParser
import Foundation
import QiMesh
import QiMessaging

/// `qimesh policy edit`.
struct PolicyEdit: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "edit", abstract: "Change the policy file with your editor, and put it in force.",
        discussion: """
            Opens a copy with $VISUAL, $EDITOR or vi. The copy takes the file's place only when it has no mistake; the running node \
            then reads it. Exit status 7: the copy has a mistake, and everything is as before.
            """)

    @Option(help: "The configuration, which says where the policy file is.") var config: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let draft: PolicyDraft
        do throws(MeshError) {
            let paths = try MeshPaths.current(configuration: config)
            draft = try PolicyDraft(of: try MeshConfiguration.load(paths: paths).policyPath(paths: paths))
        } catch {
            throw CommandFailure(error)
        }
        guard let file = try edited(draft, console) else {
            console.note("\(draft.path): nothing was changed")
            return console.json ? console.done(.object([("path", .string(draft.path)), ("changed", .bool(false))])) : ()
        }
        let isInForce = try await reload(draft.path, console)
        if console.json {
            return console.done(
                .object([
                    ("path", .string(draft.path)), ("changed", .bool(true)), ("rules", .integer(Int64(file.policy.rules.count))),
                    ("inForce", .bool(isInForce)),
                ]))
        }
        console.line(Printable.line("\(draft.path): \(file.policy.rules.count) rules\(isInForce ? ", in force" : "")"))
    }

    /// What was written, without a mistake; nil when nothing was changed.
    private func edited(_ draft: PolicyDraft, _ console: Console) throws(CommandFailure) -> PolicyFile? {
        var isKept = false
        defer { if !isKept { draft.discard() } }
        while true {
            try Editor.open(draft.draft, environment)
            let outcome: PolicyDraft.Outcome
            do throws(MeshError) {
                outcome = try draft.commit()
            } catch {
                guard Self.wantsAgain(error, console) else { throw CommandFailure(error) }
                continue
            }
            switch outcome {
            case .unchanged: return nil
            case .replaced(let file): return file
            case .outdated:
                isKept = true
                throw CommandFailure(
                    .conflict, "\(draft.path) was changed by somebody else meanwhile; what you wrote is in \(draft.draft)",
                    hint: "diff \(word: draft.path) \(word: draft.draft)")
            }
        }
    }

    private static func wantsAgain(_ error: MeshError, _ console: Console) -> Bool {
        guard !console.json, isatty(STDIN_FILENO) == 1 else { return false }
        console.always("error: \(error.message)")
        console.always("edit again? Else nothing is changed. [Y/n]")
        return readLine().map { !$0.lowercased().hasPrefix("n") } ?? false
    }

    /// Has the node read the file; false when none runs, or the node has another file.
    private func reload(_ path: String, _ console: Console) async throws(CommandFailure) -> Bool {
        let read: String
        do throws(CommandFailure) {
            read = try await withControl(console) { (control, _) async throws(CommandFailure) in
                try await control.ask { try await $0.reloadPolicy() }.path
            }
        } catch {
            guard error.code == .offline else { throw error }
            console.note("no node runs: the rules hold when it is started")
            return false
        }
        // A node that was started with another configuration has its policy elsewhere.
        let isSame = URL(fileURLWithPath: read).resolvingSymlinksInPath().path == path
        if !isSame { console.note("the running node has another policy file, \(read): it was read again, and \(path) is not in force") }
        return isSame
    }
}

/// The editor of this user.
private enum Editor {
    /// Opens a file and waits until the editor ends.
    ///
    /// - Throws: `system` when it cannot be started, or ends with another status than 0.
    static func open(_ path: String, _ environment: [String: String]) throws(CommandFailure) {
        let command = [environment["VISUAL"], environment["EDITOR"]].compactMap { $0 }.first { !$0.isEmpty } ?? "vi"
        // As git does: the variable may hold options.
        let status = try run(["/bin/sh", "-c", command + " \"$1\"", "sh", path], environment)
        guard status == 0 else {
            throw CommandFailure(.system, "the editor (\(command)) ended with status \(status): nothing was changed", hint: "EDITOR=nano qimesh policy edit")
        }
    }

    /// In our own process group: of another one the terminal would not let it read. Foundation's `Process` makes one.
    private static func run(_ arguments: [String], _ environment: [String: String]) throws(CommandFailure) -> Int32 {
        let words = arguments.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in words + variables { free(pointer) } }
        var child: pid_t = 0
        let error = posix_spawn(&child, arguments[0], nil, nil, words, variables)
        guard error == 0 else { throw CommandFailure(.system, "\(arguments[0]) cannot be started: \(String(cString: strerror(error)))") }
        // Ctrl-C is the editor's.
        let former = signal(SIGINT, SIG_IGN)
        defer { signal(SIGINT, former) }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 {
            guard errno == EINTR else { throw CommandFailure(.system, "the editor was lost: \(String(cString: strerror(errno)))") }
        }
        // wait(2): the low seven bits are the signal that ended it.
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + status & 0x7F
    }
}
