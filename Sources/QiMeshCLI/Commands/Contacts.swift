import ArgumentParser
import QiMesh

/// `qimesh invite`: asks somebody to be a contact.
struct Invite: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "invite", abstract: "Ask a device to be a contact, and let it in when it agrees.")

    @Argument(help: "The address of the device's account, name@server.")
    var jid: String

    @Option(help: "What the device is called here (default: the part before the @).")
    var name: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let name = name?.nilIfEmpty
        try await act(jid, console, "invited", "there: qimesh approve JID, with the address of this node") { [jid] in
            try await $0.invite(jid, name: name)
        }
    }
}

/// `qimesh approve`: accepts somebody's request.
struct Approve: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Let in a device that asks to be a contact, or that only the server lists.",
        discussion: "For a contact it sets the name. A device that has not asked is asked itself by `qimesh invite`.")

    @Argument(help: "The address, as `qimesh devices` shows it, or the name of a contact.")
    var jid: String

    @Option(help: "What the device is called here (default: the part before the @).")
    var name: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let name = name?.nilIfEmpty
        try await act(jid, console, "approved") { [jid] in try await $0.approve(jid, name: name) }
    }
}

/// `qimesh deny`: refuses a request, or ends a contact.
struct Deny: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "deny", abstract: "Refuse the request of a device, or stop being its contact.")

    @Argument(help: "The name or address of the device.")
    var jid: String

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await act(jid, console, "denied") { [jid] in try await $0.deny(jid) }
    }
}

extension NodeVerb {
    /// Changes one contact and says that it is done.
    fileprivate func act(
        _ typed: String, _ console: Console, _ done: String, _ next: String? = nil,
        _ change: @escaping @Sendable (MeshControlProxy) async throws -> Answer<ContactChange>
    ) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let answer = try await control.ask(limit: control.patience.device, device: typed, change)
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line("\(done) \(answer.jid)"))
            if let remark = answer.note ?? next { console.note(remark) }
        }
    }
}
