import ArgumentParser
import QiMesh

/// `qimesh revoke`: ends all access of a device.
struct Revoke: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "End all access of a device now: its key, its contact, what runs to it.",
        discussion: """
            For a device that is lost, sold or not trusted any more. It stays out, whatever key it shows, until `qimesh enroll` and \
            `qimesh pair`, `qimesh invite` or `qimesh approve` let it in again.
            """)

    @Argument(help: "The nickname or address of the device.")
    var device: String

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let answer = try await control.ask(limit: control.patience.device, device: device) { [device] in
                try await $0.revoke(device)
            }
            if console.json { return console.done(JSONValue(control: answer)) }
            console.line(Printable.line("revoked \(answer.jid)"))
            if let note = answer.note { console.note(note) }
        }
    }
}
