import QiWire

/// A device as the node's control interface describes it.
struct DeviceRow: Hashable {
    /// The nickname in this node's roster, empty for one that only asks.
    var name: String
    var jid: String
    /// `online`, `offline`, `asks`, `invited` or `refused`.
    var state: String
    var model: String
    /// Nil when unknown.
    var services: Int64?
    var path: String
    /// Milliseconds, nil when unknown.
    var roundTrip: Double?
    /// Seconds since 1970, nil for never.
    var lastSeen: Double?
    var note: String

    init(_ value: QiValue) {
        name = value.text("name")
        jid = value.text("jid")
        state = value.text("state")
        model = value.text("model")
        services = value.integer("services").flatMap { $0 < 0 ? nil : $0 }
        path = value.text("path")
        roundTrip = value.number("rtt").flatMap { $0 < 0 ? nil : $0 }
        lastSeen = value.number("lastSeen").flatMap { $0 < 0 ? nil : $0 }
        note = value.text("note")
    }

    /// Whether `text`, as typed, means this device. A JID may carry a resource, and its letters count without case (RFC 7622
    /// §3.2, §3.3).
    func isMeant(by text: String) -> Bool {
        if !name.isEmpty, name == text { return true }
        let bare = text.prefix { $0 != "/" }
        return bare.contains("@") && bare.lowercased() == jid.prefix { $0 != "/" }.lowercased()
    }

    /// Says why a contact's service could not be reached, from the contact's state.
    ///
    /// A failure of an online device is what it is: a service's own error.
    static func judge(_ failure: CommandFailure, contact: String, rows: [DeviceRow], now: Double? = nil) -> CommandFailure {
        guard let row = rows.first(where: { $0.isMeant(by: contact) }) else {
            let near = Spelling.nearest(to: contact, in: rows.map(\.name).filter { !$0.isEmpty })
            return CommandFailure(
                .notFound, "no device \"\(contact)\"" + (near.map { "; did you mean \($0)?" } ?? ""),
                hint: near == nil ? "qimesh devices" : nil, device: contact)
        }
        let because = failure.message.isEmpty ? "" : ": " + failure.message
        switch row.state {
        case "offline":
            return CommandFailure(
                .offline, mentioning(contact, failure.message, "is offline"), hint: failure.hint ?? "--wait-online 5m",
                device: contact)
        case "refused":
            return CommandFailure(
                .trust, "the key of \(contact) is refused\(because)", hint: failure.hint ?? "qimesh trust \(row.jid)",
                device: contact)
        case "asks":
            return CommandFailure(
                .denied, "\(contact) asks to be a contact and is not one yet", hint: "qimesh approve \(row.jid)", device: contact)
        case "invited":
            return CommandFailure(
                .denied, "\(contact) has not approved the invitation yet",
                hint: "there: qimesh approve, with the JID of this device", device: contact)
        default: return failure
        }
    }

    private static func mentioning(_ contact: String, _ message: String, _ state: String) -> String {
        message.contains(contact) ? message : "\(contact) \(state)" + (message.isEmpty ? "" : ": \(message)")
    }
}
