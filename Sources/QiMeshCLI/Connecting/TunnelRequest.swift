import QiMesh
import QiMessaging

/// What a command asks the node for that wants the directory of a device as a local one.
struct TunnelRequest: Sendable {
    let contact: String
    let endpoint: Endpoint

    /// - Parameter listen: the address as typed.
    /// - Throws: `usage` for what is no contact, or no address to listen at.
    init(_ device: String, at listen: String) throws(CommandFailure) {
        guard case .contact(let contact) = try DeviceName(device) else {
            throw .usage("\(device) is a directory already", hint: "qimesh ls \(word: device)")
        }
        guard let endpoint = Endpoint.typed(listen) else {
            throw .usage("\"\(listen)\" is not an address to listen at: tcp://HOST:PORT or unix:/PATH")
        }
        (self.contact, self.endpoint) = (contact, endpoint)
    }

    /// Has the node open it; it closes it when this command's connection ends.
    ///
    /// - Parameter ticket: what is registered at the tunnel is registered with the device, and the node calls that so.
    func open(
        _ control: ControlInterface, _ session: NodeSession, ticket: String?, wait: WaitOptions
    ) async throws(CommandFailure) -> OpenedTunnel {
        if let limit = wait.waitOnline { try await session.waitOnline(.contact(contact), atMost: limit.duration) }
        do throws(CommandFailure) {
            return try await control.ask(limit: control.patience.device, device: contact) {
                try await $0.openTunnel(to: contact, at: endpoint.text, ticket: ticket)
            }
        } catch {
            throw await session.judged(error, contact: contact)
        }
    }
}
