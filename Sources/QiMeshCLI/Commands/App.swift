import ArgumentParser
import QiMesh
import QiWire

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
            let answer = try await control.call(
                "installApp",
                [
                    .string(QiString(app.name)), .string(QiString(app.description)),
                    .list(app.permissions.map { .list($0.map { .string(QiString($0)) }) }), .bool(approve),
                ])
            if console.json { return console.done(JSONValue(control: answer)) }
            AppList.permissions(answer, console)
            console.line(Printable.line(answer.text("session")))
            console.note("the session id of \(answer.text("name")); it is shown this once")
            if !approve { console.note("it has no access yet: qimesh app approve \(word: answer.text("name"))") }
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
            let rows = try await control.list("apps")
            if console.json { return console.done(.object([("apps", .array(rows.map { JSONValue(control: $0) }))])) }
            if rows.isEmpty { return console.note("no application is installed; to install one: qimesh app install MANIFEST") }
            var table = Table(["NAME", "STATE", .init("PERMISSIONS", .list), .init("DESCRIPTION", .words)])
            for row in rows {
                let state: Table.Cell = row.member("approved")?.asBool == true ? .init("approved", .good) : .init("waits", .bad)
                table.add([.init(row.text("name")), state, .init(Self.text(row).joined(separator: "; ")), .init(row.text("description"))])
            }
            console.table(table)
        }
    }

    /// What an application wants, for people, a line for each rule.
    static func permissions(_ app: QiValue, _ console: Console) { for line in text(app) { console.note("may: \(line)") } }

    private static func text(_ app: QiValue) -> [String] {
        app.rows("rules").map { rule in
            var parts = rule.rows("lists").map { "\($0.text("key")) \($0.texts("entries").joined(separator: ", "))" }
            if !rule.text("limit").isEmpty { parts.append("limit \(rule.text("limit"))") }
            if rule.member("exclusive")?.asBool == true { parts.append("exclusive") }
            if !rule.text("expires").isEmpty { parts.append("until \(rule.text("expires"))") }
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
            let answer = try await control.call("approveApp", [.string(name)])
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line("approved \(answer.text("name"))"))
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
            let answer = try await control.call("revokeApp", [.string(name)])
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line("revoked \(answer.text("name"))"))
        }
    }
}
