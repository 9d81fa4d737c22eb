import QiMessaging
import XMPP

/// What the owner's words for devices mean in a node with several accounts: the same for every verb and every call.
extension [XMPPGateway] {
    /// The bare address that a text means: itself, when it has an `@`; else that of the contact with this name.
    ///
    /// - Throws: `.invalid` for what is no address, and for a name that several have; `.notFound` for a name that none has.
    func address(of text: String) throws(QiError) -> JID {
        if text.contains("@") {
            guard let jid = JID(text)?.bare, jid.node != nil else {
                throw QiError(.invalid, "\"\(text)\" is not an address of the form name@server")
            }
            return jid
        }
        try requireOneMeaning(of: text, code: .invalid)
        guard let jid = named(text).first else { throw unknown(text) }
        return jid
    }

    /// Refuses a name that means several devices.
    ///
    /// - Parameter code: `.conflict` for a call, which the command judges by the list of devices; `.invalid` for a verb.
    func requireOneMeaning(of name: String, code: QiError.Code) throws(QiError) {
        let meant = named(name)
        guard meant.count > 1 else { return }
        let addresses = meant.map { "\($0)" }.joined(separator: ", ")
        throw QiError(code, "several devices are called \"\(name)\": \(addresses)", hint: "use one of these addresses instead")
    }

    /// Refuses a name that is to be given, when it cannot be one or another device has it.
    func requireFree(_ name: String, for device: JID?) throws(QiError) {
        if let refusal = ContactName.refusal(of: name) {
            throw QiError(.invalid, "\"\(name)\" cannot be a name: \(refusal)", hint: "with another name: --name NAME")
        }
        guard let other = named(name).first(where: { $0 != device }) else { return }
        throw QiError(.conflict, "\(other) is called \"\(name)\" here already", hint: "with another name: --name NAME")
    }

    /// That no contact is called so, with the name that was probably meant.
    func unknown(_ name: String) -> QiError {
        let known = flatMap { $0.contacts.all }.compactMap(\.name)
        if let near = Spelling.nearest(to: name, among: known) {
            return QiError(.notFound, "no device \"\(name)\"; did you mean \(near)?", hint: "qimesh devices")
        }
        let command = name.contains("@") ? JID(name).map(Command.invite) : nil
        return QiError(
            .notFound, "no device \"\(name)\"", hint: "qimesh devices; add one with: \(command ?? "qimesh invite JID --name NAME")")
    }

    /// The contacts of that name, each once.
    private func named(_ name: String) -> [JID] {
        guard !name.contains("@") else { return [] }
        var found: [JID] = []
        for jid in compactMap({ $0.contacts.named(name).flatMap { JID($0.jid) } }) where !found.contains(jid) { found.append(jid) }
        return found
    }
}
