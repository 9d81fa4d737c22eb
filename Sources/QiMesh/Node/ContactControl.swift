import QiMessaging
import QiWire
import XMPP

/// The part of the control interface about who is let in without a token.
final class ContactControl: ControlMembers {
    private let accounts: AccountSet
    private var gateways: [XMPPGateway] { accounts.gateways }

    init(_ accounts: AccountSet) { self.accounts = accounts }

    func add(to builder: inout ObjectBuilder) {
        builder.advertiseControl("invite", "(ss)") { [self] arguments, _ in
            try await invite(try arguments[0].text("JID"), try arguments[1].text("name"))
        }
        builder.advertiseControl("approve", "(ss)") { [self] arguments, _ in
            try await approve(try arguments[0].text("JID"), try arguments[1].text("name"))
        }
        builder.advertiseControl("deny", "(s)") { [self] arguments, _ in try await deny(try arguments[0].text("JID")) }
    }

    private func invite(_ text: String, _ name: String) async throws -> QiValue {
        let jid = try gateways.address(of: text)
        guard !gateways.contains(where: { $0.own == jid }) else { throw QiError(.invalid, "\(jid) is this device itself") }
        if !name.isEmpty { try gateways.requireFree(name, for: jid) }
        let gateway = try online(for: jid)
        try await gateway.invite(jid, name: name.isEmpty ? nil : name)
        return answer(gateway, jid, "")
    }

    private func approve(_ text: String, _ name: String) async throws -> QiValue {
        let jid = try gateways.address(of: text)
        if !name.isEmpty { try gateways.requireFree(name, for: jid) }
        let gateway = try online(for: jid)
        let wasContact = gateway.contacts.isContact(jid)
        guard gateway.knows(jid) else {
            throw QiError(.notFound, "\(jid) has not asked to be a contact of \(gateway.own)", hint: Command.invite(jid))
        }
        try await gateway.invite(jid, name: name.isEmpty ? nil : name, by: .approved)
        return answer(gateway, jid, wasContact ? "it was a contact already" : "")
    }

    private func deny(_ text: String) async throws -> QiValue {
        let jid = try gateways.address(of: text)
        let concerned = gateways.filter { $0.knows(jid) }
        guard !concerned.isEmpty else {
            throw QiError(.notFound, "\(jid) is no contact, and has not asked to be one", hint: "qimesh devices")
        }
        var notes: [String] = []
        for gateway in concerned {
            do {
                try await gateway.deny(jid)
            } catch is XMPPError {
                notes.append("\(gateway.own) is not online: its server lists \(jid) until it is denied again")
            }
            if gateway.account.accept.contains(where: { $0.matches("\(jid)") }) {
                notes.append("accept lets it in when it asks again; to keep it out: qimesh revoke \(PrivateFile.quoted("\(jid)"))")
            }
        }
        return answer(concerned[0], jid, notes.joined(separator: "; "))
    }

    /// The account that knows the device, or else the first that is online.
    private func online(for jid: JID) throws(QiError) -> XMPPGateway {
        if let known = gateways.first(where: { $0.knows(jid) && $0.client.state.isOnline }) { return known }
        if let gateway = gateways.first(where: { $0.client.state.isOnline }) { return gateway }
        guard let first = gateways.first else {
            throw QiError(.notFound, "this node has no account", hint: "add one below xmpp: in qimesh.yaml, then send the node SIGHUP")
        }
        throw QiError(.offline, "\(first.own) is not online, and so no account of this node", hint: "qimesh status")
    }

    private func answer(_ gateway: XMPPGateway, _ jid: JID, _ note: String) -> QiValue {
        .dictionary([
            ("jid", .string("\(jid)")), ("name", .string(gateway.contacts.contact(jid)?.name ?? "")), ("note", .string(note)),
        ])
    }
}
