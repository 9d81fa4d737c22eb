import ArgumentParser
import QiWire

/// `qimesh identity`: who this device is to others.
struct Identity: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "identity", abstract: "The fingerprint of this device's key, to compare with what others see.")

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let identity = try await control.call("identity")
            if console.json { return console.done(JSONValue(control: identity)) }
            console.line(Printable.line(identity.text("fingerprint")))
            let names = [identity.text("name")] + identity.texts("jids")
            console.note(names.filter { !$0.isEmpty }.joined(separator: "  "))
        }
    }
}
