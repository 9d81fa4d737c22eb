import QiMesh

extension DeviceRow {
    /// Whether `text`, as typed, means this device: with an `@` its address, else its name. A JID may carry a resource, and its letters
    /// count without case (RFC 7622 §3.2, §3.3).
    func isMeant(by text: String) -> Bool {
        guard text.contains("@") else { return !name.isEmpty && name == text }
        return text.prefix { $0 != "/" }.lowercased() == jid.prefix { $0 != "/" }.lowercased()
    }

    /// Says why a contact's service could not be reached, from the contact's state.
    ///
    /// A failure of an online device is what it is: a service's own error.
    ///
    /// - Parameter waiting: the command to type that waits for the device, if there is one.
    static func judge(_ failure: CommandFailure, contact: String, rows: [DeviceRow], waiting: String? = nil) -> CommandFailure {
        let meant = rows.filter { $0.isMeant(by: contact) }
        let addresses = Set(meant.map(\.jid)).sorted()
        guard addresses.count <= 1 else {
            return CommandFailure(
                .usage, "several devices are called \"\(contact)\": \(addresses.joined(separator: ", "))",
                hint: "use one of these addresses instead", device: contact)
        }
        guard let row = meant.first else {
            let near = Spelling.nearest(to: contact, in: rows.map(\.name).filter { !$0.isEmpty })
            return CommandFailure(
                .notFound, "no device \"\(contact)\"" + (near.map { "; did you mean \($0)?" } ?? ""),
                hint: "qimesh devices", device: contact)
        }
        let because = failure.message.isEmpty ? "" : ": " + failure.message
        switch row.state {
        case "offline":
            return CommandFailure(
                .offline, mentioning(contact, failure.message, "is offline"), hint: waiting ?? failure.hint ?? "qimesh devices",
                device: contact)
        case "stale":
            return CommandFailure(
                .offline, mentioning(contact, failure.message, "does not answer, though its server says that it is there"),
                hint: waiting ?? failure.hint ?? "qimesh ping \(word: contact)", device: contact)
        case "refused":
            return CommandFailure(
                .trust, "the key of \(contact) is refused\(because)", hint: failure.hint ?? "qimesh trust \(word: row.jid)",
                device: contact)
        case "asks":
            return CommandFailure(
                .denied, "\(contact) asks to be a contact and is not one yet", hint: "qimesh approve \(word: row.jid)", device: contact)
        case "unknown":
            return CommandFailure(
                .offline, "\(contact) cannot be reached: \(row.account) is offline itself (\(row.clause))", hint: "qimesh status",
                device: contact)
        case "unconfirmed":
            return CommandFailure(
                .denied, "\(contact) was not let in on this device: \(row.note ?? "")", hint: "qimesh devices", device: contact)
        case "invited":
            return CommandFailure(
                .denied, "\(contact) has not approved the invitation yet",
                hint: "there: qimesh approve JID, with the address of this device", device: contact)
        default: return failure
        }
    }

    /// What keeps a contact away that may come by itself: it is offline or does not answer, we are offline, or it has not approved us yet.
    /// Nil for one that is online.
    ///
    /// - Throws: what time alone does not mend.
    static func trouble(of contact: String, in rows: [DeviceRow]) throws(CommandFailure) -> CommandFailure? {
        let state = rows.first { $0.isMeant(by: contact) }?.state
        if state == "online" { return nil }
        let failure = judge(CommandFailure(.offline, ""), contact: contact, rows: rows)
        guard ["offline", "stale", "unknown", "invited"].contains(state), failure.code != .usage else { throw failure }
        return failure
    }

    /// ``trouble`` as a part of a sentence.
    var clause: String { String((trouble ?? "").reversed().drop { $0 == "." }.reversed()) }

    private static func mentioning(_ contact: String, _ message: String, _ state: String) -> String {
        message.contains(contact) ? message : "\(contact) \(state)" + (message.isEmpty ? "" : ": \(message)")
    }
}
