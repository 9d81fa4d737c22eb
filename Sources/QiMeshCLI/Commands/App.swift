import ArgumentParser
import QiMesh

/// `qimesh app`.
struct App: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "app", abstract: "Remote applications: install, approve and revoke them.",
        discussion: """
            A manifest says what an application wants to do. Once it is installed and approved, whoever presents its name and its \
            session id at the gateway (auth_user, auth_token) may do that, and nothing else.
            """,
        subcommands: [AppInstall.self, AppList.self, AppApprove.self, AppRevoke.self])
}

/// `qimesh app install`.
struct AppInstall: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "install", abstract: "Install an application, and print its session id, once.",
        discussion: """
            Installing an application again gives it another session id, and the earlier one is worth nothing. Without --approve it has no \
            access before `qimesh app approve`.
            """)

    @Argument(help: "The manifest, a YAML file: name, description, permissions.")
    var manifest: String

    @Flag(help: "Agree to its permissions at once.")
    var approve = false

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let app: AppManifest
        do throws(MeshError) { app = try AppManifest.load(manifest) } catch { throw CommandFailure(error) }
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let answer = try await control.ask { [approve] in
                try await $0.installApp(app.name, description: app.description, permissions: app.permissions, approved: approve)
            }
            if console.json { return console.done(JSONValue(control: answer)) }
            for line in AppList.text(answer.rules) { console.note("may: \(line)") }
            console.line(Printable.line(answer.session))
            console.note("the session id of \(answer.name); it is shown this once")
            if !approve { console.note("it has no access yet: qimesh app approve \(word: answer.name)") }
        }
    }
}

/// `qimesh app list`.
struct AppList: NodeVerb {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The installed applications and what they may do.")

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let rows = try await control.ask { try await $0.apps() }
            if console.json { return console.done(.object([("apps", JSONValue(control: rows))])) }
            if rows.isEmpty { return console.note("no application is installed; to install one: qimesh app install MANIFEST") }
            var table = Table(["NAME", "STATE", .init("PERMISSIONS", .list), .init("DESCRIPTION", .words)])
            for row in rows {
                let state: Table.Cell = row.approved ? .init("approved", .good) : .init("waits", .bad)
                table.add([.init(row.name), state, .init(Self.text(row.rules).joined(separator: "; ")), .init(row.description)])
            }
            console.table(table)
        }
    }

    /// What an application wants, for people, a line for each rule.
    static func text(_ rules: [RuleRow]) -> [String] {
        rules.map { rule in
            var parts = rule.lists.map { "\($0.key) \($0.entries.joined(separator: ", "))" }
            if let limit = rule.limit { parts.append("limit \(limit)") }
            if rule.exclusive { parts.append("exclusive") }
            if let expires = rule.expires { parts.append("until \(expires)") }
            return parts.joined(separator: ", ")
        }
    }
}

/// `qimesh app approve`.
struct AppApprove: NodeVerb {
    static let configuration = CommandConfiguration(commandName: "approve", abstract: "Agree to what an installed application wants to do.")

    @Argument(help: "The application, as `qimesh app list` shows it.")
    var name: String

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let answer = try await control.ask { [name] in try await $0.approveApp(name) }
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line("approved \(answer.name)"))
        }
    }
}

/// `qimesh app revoke`.
struct AppRevoke: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "End an application's access now, and forget it.")

    @Argument(help: "The application, as `qimesh app list` shows it.")
    var name: String

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let answer = try await control.ask { [name] in try await $0.revokeApp(name) }
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line("revoked \(answer.name)"))
        }
    }
}
