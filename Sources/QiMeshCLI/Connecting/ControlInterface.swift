import QiMessaging
import QiWire

/// The node's own service, which only its unix socket shows: contacts, trust, tunnels.
struct ControlInterface: Sendable {
    /// The service's name. In no listing.
    static let name = "QiMeshControl"

    let proxy: ObjectProxy
    let patience: Patience
    let console: Console

    /// Calls a method and returns its map.
    /// - Parameter limit: the longest to wait, by default for something near.
    /// - Throws: what the node says, see `CommandFailure.init(nodeText:)`.
    func call(
        _ method: String, _ arguments: [QiValue] = [], limit: Duration? = nil, device: String? = nil
    ) async throws(CommandFailure) -> QiValue {
        let proxy = self.proxy
        let limit = limit ?? patience.answer
        return try await patience.wait(for: device ?? "the node", atMost: limit, device: device, console) {
            () async throws(CommandFailure) in
            do throws(QiError) {
                return try await proxy.call(method, arguments: arguments, deadline: limit)
            } catch {
                throw CommandFailure(ofNode: error, device: device)
            }
        }
    }

    /// Calls a method that answers rows.
    func list(
        _ method: String, _ arguments: [QiValue] = [], limit: Duration? = nil, device: String? = nil
    ) async throws(CommandFailure) -> [QiValue] {
        let value = try await call(method, arguments, limit: limit, device: device)
        guard let rows = value.asList else {
            throw CommandFailure(
                .violation, "the node's answer to \(method) is no list", hint: "qimesh status; node and command have to be of one version")
        }
        return rows
    }
}

extension NodeSession {
    /// The control interface of the node at the other end.
    /// - Throws: `notFound` when the other end has none or does not show it here.
    func control() async throws(CommandFailure) -> ControlInterface {
        // What this interface says is taken as advice. The kernel vouches for the owner of a socket; elsewhere a service of that name
        // is somebody else's.
        guard url.hasPrefix("unix:") else { throw Self.noControl(at: url) }
        let session = self.session
        let url = self.url
        let limit = patience.answer
        let proxy = try await patience.wait(for: "the node", atMost: limit, console) { () async throws(CommandFailure) in
            do throws(QiError) {
                return try await session.service(ControlInterface.name, deadline: limit)
            } catch where error.code == .notFound || error.code == .remote {
                throw Self.noControl(at: url)
            } catch {
                throw CommandFailure(error)
            }
        }
        return ControlInterface(proxy: proxy, patience: patience, console: console)
    }

    private static func noControl(at url: String) -> CommandFailure {
        if url.hasPrefix("unix:") {
            return CommandFailure(.notFound, "\(url) has no control interface", hint: "qimesh up")
        }
        return CommandFailure(
            .notFound, "\(url) has no control interface; a node shows it on its unix socket only",
            hint: "the command on the node's machine, without --url and $QIMESH_URL")
    }

    /// A failure of reaching a contact, judged by what the node knows of it. The device itself is not asked again: it may be the one
    /// that does not answer.
    func judged(_ failure: CommandFailure, contact: String) async -> CommandFailure {
        guard [.closed, .offline, .notFound, .denied, .conflict].contains(failure.code) else { return failure }
        do throws(CommandFailure) {
            let control = try await control()
            let rows = try await control.list("devices")
            let waiting = console.typed?.adding("--wait-online", "5m")
            return DeviceRow.judge(failure, contact: contact, rows: rows.map { DeviceRow($0) }, waiting: waiting)
        } catch {
            console.detail("the node says nothing of \(contact): \(error.message)")
            return failure
        }
    }
}
