import QiMesh

/// Which way calls to a contact take, as the node tells.
extension NodeSession {
    /// The kinds of path, best first.
    static let pathKinds = ["direct", "proxy", "in-band"]

    /// Keeps calls to a device on one kind of path until this session ends.
    /// - Throws: `unmet` with why that path cannot be had, `usage` for a target that is no contact's.
    func hold(_ kind: String, to device: DeviceName?) async throws(CommandFailure) {
        guard let contact = device?.contact else {
            throw .usage("--path is about a contact, and none is named: DEVICE/Service, or --device DEVICE", hint: "qimesh devices")
        }
        let status: DevicePathRow
        do throws(CommandFailure) {
            status = try await control().ask(limit: patience.device, device: contact) { try await $0.holdPath(to: contact, on: kind) }
        } catch {
            // Off, or another command keeps the stream on another kind.
            guard error.code == .unsupported || error.code == .limit else { throw await judged(error, contact: contact) }
            throw CommandFailure(.unmet, error.message, hint: "qimesh path \(word: contact)", device: contact)
        }
        guard status.path != kind else { return }
        throw Self.unmet(kind, status, device: contact, hint: "qimesh path \(word: contact)")
    }

    /// A kind of path cannot be had.
    static func unmet(_ kind: String, _ status: DevicePathRow, device: String, hint: String) -> CommandFailure {
        let reason = status.candidates.first { $0.path == kind }?.reason.map { ": \($0)" } ?? ""
        let way = status.path.map { "which is reached \($0)" } ?? "to which there is no path now"
        return CommandFailure(.unmet, "\(kind) does not work to \(device), \(way)\(reason)", hint: hint, device: device)
    }

    /// The way that calls to a device have just taken.
    func wayTaken(to device: DeviceName?) async -> PathTaken {
        guard case .contact(let contact) = device else { return PathTaken(word: path(to: device)) }
        // The call may have used up its time, and its result is worth more than this.
        let session = NodeSession(session: session, url: url, patience: Patience(), console: console)
        do throws(CommandFailure) {
            let status = try await session.control().ask(device: contact) { try await $0.currentPath(to: contact) }
            return PathTaken(status) ?? PathTaken(word: "xmpp")
        } catch {
            // The call is done, and its result counts; a node elsewhere does not tell.
            console.detail("the node does not say which way calls to \(contact) take: \(error.message)")
            return PathTaken(word: "xmpp")
        }
    }
}

/// By which way a call went.
struct PathTaken: Hashable {
    /// For programs: `direct`, `proxy`, `in-band`; `xmpp` of a contact's where the node does not tell more; the scheme of a directory's
    /// URL.
    let word: String
    /// For people: with the round trip, if it is known, and why the better ones were not taken.
    let text: String

    init(word: String) {
        self.word = word
        text = word
    }

    /// Nil when there is no path.
    init?(_ status: DevicePathRow) {
        guard let path = status.path else { return nil }
        word = path
        let time = status.rtt.map { ", rtt \(TimeText.milliseconds($0))" } ?? ""
        let rank = NodeSession.pathKinds.firstIndex(of: path) ?? 0
        let better = status.candidates.filter { NodeSession.pathKinds.firstIndex(of: $0.path).map { $0 < rank } ?? false }
        let reasons = better.map { "\($0.path): \($0.reason ?? "not tried yet")" }.joined(separator: "; ")
        text = path + time + (reasons.isEmpty ? "" : " (\(reasons))")
    }
}
