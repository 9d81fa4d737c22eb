import ArgumentParser
import QiWire

/// `qimesh ls`: the services of a device.
struct ListServices: WaitingVerb {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "The services of a device.")

    @Argument(help: "Nickname, JID or URL; default: $QIMESH_DEVICE, this machine.")
    var device: String?

    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        let named = try DeviceOptions.name(device, environment)
        try await withSession(console, waitingFor: named) { (session) async throws(CommandFailure) in
            let services = try await Self.services(session, named).sorted { ($0.id, $0.name) < ($1.id, $1.name) }
            if console.json { return console.done(.object([("services", .array(services.map(Self.json)))])) }
            console.table(Self.table(services))
        }
    }

    private static func services(
        _ session: NodeSession, _ device: DeviceName?
    ) async throws(CommandFailure) -> [NodeSession.Listed] {
        guard case .contact(let contact) = device else {
            var services = try await session.services(of: device)
            await session.nameBoards(of: &services)
            return services
        }
        do throws(CommandFailure) {
            return try await session.services(of: device)
        } catch {
            throw await session.judged(error, contact: contact)
        }
    }

    static func json(_ service: NodeSession.Listed) -> JSONValue {
        .object([
            ("name", .string(service.name)), ("id", .integer(service.id)), ("machine", .string(service.machine)),
            ("board", .string(service.board)),
            ("process", .integer(service.process)), ("session", .string(service.session)),
            ("endpoints", .array(service.endpoints.map { .string($0) })),
        ])
    }

    static func table(_ services: [NodeSession.Listed]) -> Table {
        let hasEndpoints = services.contains { !$0.endpoints.isEmpty }
        var table = Table(["ID", "SERVICE", "PROCESS", "BOARD"] + (hasEndpoints ? [.init("ENDPOINTS", .list)] : []))
        for service in services {
            table.add([
                .init("\(service.id)"), .init(service.name), .init("\(service.process)", .faint),
                .init(service.board.isEmpty ? String(service.machine.prefix(8)) : service.board, .faint),
                .init(service.endpoints.joined(separator: " ")),
            ])
        }
        return table
    }
}
