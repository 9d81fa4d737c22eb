import ArgumentParser
import QiMesh

/// `qimesh user`: who may come in at the gateway by name and token.
struct Users: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Who may come in at the gateway by name and token: add, list, remove.",
        discussion: """
            The token is shown once and kept as a digest only. A client of libqi presents both as `user` and `token`. What a user may \
            do there, the policy says (who: user:NAME). A running gateway takes changes at once; whoever is removed is out within \
            a second.
            """,
        subcommands: [AddUser.self, ListUsers.self, RemoveUser.self])
}

/// Where the users are.
struct UserOptions: ParsableArguments {
    @Option(help: "The configuration file (default: as for `qimesh up`).")
    var config: String?

    /// The key that the public door shows; nil without one.
    func doorKey() throws(CommandFailure) -> KeyFingerprint? {
        do throws(MeshError) {
            let paths = try MeshPaths.current(configuration: config)
            return try MeshConfiguration.load(paths: paths).doorKey(paths: paths)
        } catch {
            throw CommandFailure(error)
        }
    }

    func withStore<Result>(_ body: (UserStore) throws(MeshError) -> Result) throws(CommandFailure) -> Result {
        do throws(MeshError) {
            let paths = try MeshPaths.current(configuration: config)
            let file = try MeshConfiguration.load(paths: paths).gateway?.users
            if file == nil { try paths.prepareDirectories() }
            return try body(UserStore(file: file ?? paths.userFile))
        } catch {
            throw CommandFailure(error)
        }
    }
}

struct AddUser: Verb {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a user, or give one another token; prints the token.")

    @Argument(help: "The user's name: 1 to 64 letters, digits and . _ - @ +")
    var name: String

    @Option(help: "Take the token from this file (first line, 16 characters at least; mode 0600) instead of making one.")
    var tokenFile: String?

    @OptionGroup var users: UserOptions
    @OptionGroup var output: OutputOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let token = try users.withStore { (store) throws(MeshError) in
            try store.set(name, token: tokenFile.map { (path) throws(MeshError) in try Login.token(in: path) })
        }
        let key = try users.doorKey()
        if console.json {
            let door: [(name: String, value: JSONValue)] = key.map { [("fingerprint", .string("\($0)"))] } ?? []
            return console.done(.object([("user", .string(name))] + (tokenFile == nil ? [("token", .string(token))] : []) + door))
        }
        if tokenFile == nil { console.line(token) }
        console.note("user \(name) may come in; write the token down, it is not shown again")
        if let key { console.note("the gateway shows this key; \(name) gives it at the first login: --fingerprint \(key)") }
    }
}

struct ListUsers: Verb {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The names of the users.")

    @OptionGroup var users: UserOptions
    @OptionGroup var output: OutputOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let names = try users.withStore { (store) throws(MeshError) in try store.names() }
        if console.json { return console.done(.object([("users", .array(names.map { .string($0) }))])) }
        if names.isEmpty { return console.note("there are no users; to add one: qimesh user add NAME") }
        for name in names { console.line(name) }
    }
}

struct RemoveUser: Verb {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take a user's access away; its connections end within a second.")

    @Argument(help: "The user's name.")
    var name: String

    @OptionGroup var users: UserOptions
    @OptionGroup var output: OutputOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let wasThere = try users.withStore { (store) throws(MeshError) in try store.remove(name) }
        guard wasThere else { throw CommandFailure(.notFound, "there is no user \(name)", hint: "qimesh user list") }
        if console.json { return console.done(.object([("user", .string(name)), ("removed", .bool(true))])) }
        console.note("user \(name) is removed")
    }
}
