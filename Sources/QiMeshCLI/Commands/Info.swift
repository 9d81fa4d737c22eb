import ArgumentParser
import QiMesh
import QiMessaging
import QiWire

/// `qimesh info`: what a service offers.
struct Info: WaitingVerb {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "The methods, signals and properties of a service, or one member of it.")

    @Argument(help: "[DEVICE/]Service[.member]")
    var target: String

    @Flag(help: "Show also what every object has, and names that begin with _.")
    var hidden = false

    @Flag(help: "Print signatures only.")
    var signature = false

    @OptionGroup var device: DeviceOptions
    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let target = try Target(target, device: device.name(environment))
        try await withSession(console, waitingFor: target.device) { (session) async throws(CommandFailure) in
            let found = try await session.find(target, readings: target.readings)
            var members = ServiceMembers(found.proxy.metaObject, hidden: hidden || found.member != nil)
            if let member = found.member { members = try members.only(member, of: found.label) }
            let board = target.device?.contact == nil ? await session.board(of: found.service) : nil
            if console.json {
                return console.done(members.json.adding([
                    ("service", .string(found.service)), ("board", board.map { .string($0) } ?? .null),
                    ("device", target.device.map { .string($0.text) } ?? .null),
                    ("path", .string(session.path(to: target.device))),
                ]))
            }
            if signature { return members.signatures.forEach { console.line(Printable.line($0)) } }
            console.line(Printable.line(members.heading(service: found.service, device: target.device?.text ?? board)))
            for line in members.lines { console.line(Printable.line(line)) }
            if let contact = target.device?.contact { await Self.show(instancesOf: found.service, at: contact, session, console) }
        }
    }

    /// Of a group's service: which devices answer.
    private static func show(instancesOf service: String, at name: String, _ session: NodeSession, _ console: Console) async {
        do throws(CommandFailure) {
            guard let group = try await session.group(named: name) else { return }
            let instances = group.members.map { member in
                "\(member.name) (\(member.services[service] ?? (member.online ? "not asked" : "offline")))"
            }
            console.line("answered by one of: " + instances.joined(separator: ", "))
        } catch {
            // The members are shown; a node elsewhere does not tell of its groups.
            console.detail("the node does not say whether \(name) is a group: \(error.message)")
        }
    }
}
