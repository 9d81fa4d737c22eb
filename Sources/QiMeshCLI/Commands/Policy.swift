import ArgumentParser
import QiMesh

/// `qimesh policy`.
struct Policy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Who may do what: show the rules, ask them, test them, change them, read them again.",
        discussion: """
            The rules stand in policy.yaml beside the configuration. The first rule that names the caller and lists the target \
            decides; inside a rule deny is read before allow; what no rule lists is denied to everybody from outside. \
            A deny for everyone keeps the robot's own programs from hosting that service, too, unless an earlier rule allows \
            zone:internal all of it.
            """,
        subcommands: [PolicyShow.self, PolicyCheck.self, PolicyTest.self, PolicyEdit.self, PolicyReload.self])
}

/// `qimesh policy show`.
struct PolicyShow: PolicyVerb {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "The rules in force, in their order.")

    @OptionGroup var policy: PolicyOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withPolicy(console) { (source) async throws(CommandFailure) in
            let shown = try await source.show()
            if console.json { return console.done(JSONValue(control: shown)) }
            console.note(shown.path ?? "no policy file: contacts may call, listen to and read all services")
            console.table(Self.table(shown.rules))
        }
    }

    static func table(_ rules: [RuleRow]) -> Table {
        var table = Table(["RULE", "LINE", "WHO", .init("LISTS", .list), "LIMIT", "EXPIRES"])
        for (index, rule) in rules.enumerated() {
            let lists = rule.lists.map { list in
                "\(list.key)=[\(list.entries.map { "\"\($0)\"" }.joined(separator: ", "))]"
            }
            var limit = rule.limit ?? ""
            if rule.exclusive { limit += (limit.isEmpty ? "" : ", ") + "exclusive" }
            table.add([
                .init("\(index + 1)"), .init(rule.line.map { "\($0)" } ?? ""), .init(rule.who), .init(lists.joined(separator: "  ")),
                .init(limit), .init(rule.expires ?? ""),
            ])
        }
        return table
    }
}

/// `qimesh policy reload`.
struct PolicyReload: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Read the policy file again and put it in force, without ending a connection.",
        discussion: "Exit status 7: the file has a mistake, and the rules of before stay in force.")

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let read = try await control.ask { try await $0.reloadPolicy() }
            if console.json { return console.done(JSONValue(control: read)) }
            let (rules, groups) = (read.rules, read.groups)
            console.line(
                Printable.line(
                    "\(read.path): \(rules) \(rules == 1 ? "rule" : "rules"), \(groups) \(groups == 1 ? "group" : "groups"), in force"))
        }
    }
}
