import QiMesh
import QiMessaging

/// The node's own service, which only its unix socket shows.
struct ControlInterface: Sendable {
    let proxy: MeshControlProxy
    let patience: Patience
    let console: Console

    /// Asks the node.
    /// - Parameter limit: the longest to wait, by default for something near.
    /// - Throws: what the node says went wrong.
    func ask<Value: QiConvertible & Sendable>(
        limit: Duration? = nil, device: String? = nil,
        _ question: @escaping @Sendable (MeshControlProxy) async throws -> Answer<Value>
    ) async throws(CommandFailure) -> Value {
        let limit = limit ?? patience.answer
        var proxy = self.proxy
        proxy.deadline = limit
        return try await patience.wait(for: device ?? "the node", atMost: limit, device: device, console) {
            [proxy] () async throws(CommandFailure) in
            let answer: Answer<Value>
            do { answer = try await question(proxy) } catch { throw Self.failure(error, device) }
            do throws(MeshError) { return try answer.get() } catch { throw CommandFailure(error, device: device) }
        }
    }

    /// Why the question was not answered. What goes wrong in the node is an answer: a method that is missing is one of another version.
    private static func failure(_ error: any Error, _ device: String?) -> CommandFailure {
        guard let error = error as? QiError else { return CommandFailure(.remote, "\(error)", device: device) }
        let isOther =
            error.code == .invalid || error.message.contains("No such method")
            || error.message.hasPrefix("\(MeshControlProxy.serviceName).")
        guard isOther, error.code == .notFound || error.code == .invalid else { return CommandFailure(error, device: device) }
        return CommandFailure(
            .violation, "the node's control interface is not the one that this command knows: \(error.message)",
            hint: "qimesh up, with the version of this command", device: device)
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
                return try await session.service(MeshControlProxy.self, deadline: limit)
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
            return CommandFailure(
                .notFound, "\(url) has no control interface, or that of another version",
                hint: "qimesh up, with the version of this command")
        }
        return CommandFailure(
            .notFound, "\(url) has no control interface; a node shows it on its unix socket only",
            hint: "the command on the node's machine, without --url and $QIMESH_URL")
    }

    /// What the node says of a group's service stands; the command that shows the group is the one to type.
    private static func judged(_ failure: CommandFailure, _ group: GroupRow) -> CommandFailure {
        var failure = failure
        failure.message = failure.message.replacing(" (qimesh devices)", with: "")
        if failure.code != .conflict { failure.hint = "qimesh path \(word: group.name)" }
        return failure
    }

    /// A failure of reaching a contact, judged by what the node knows of it. The device itself is not asked again: it may be the one
    /// that does not answer.
    func judged(_ failure: CommandFailure, contact: String) async -> CommandFailure {
        guard [.closed, .offline, .notFound, .denied, .conflict].contains(failure.code) else { return failure }
        do throws(CommandFailure) {
            if let group = try await group(named: contact) { return Self.judged(failure, group) }
            let rows = try await control().ask { try await $0.devices() }
            return DeviceRow.judge(
                failure, contact: contact, rows: rows, waiting: console.typed?.adding("--wait-online", "5m"))
        } catch {
            console.detail("the node says nothing of \(contact): \(error.message)")
            return failure
        }
    }
}
