import QiMessaging
import XMPP

/// Who is let in without a token.
extension NodeControl {
    func invite(_ text: String, name: String?) async -> Answer<ContactChange> {
        await Answer {
            let jid = try gateways.address(of: text)
            guard !gateways.contains(where: { $0.own == jid }) else { throw QiError(.invalid, "\(jid) is this device itself") }
            if let name { try gateways.requireFree(name, for: jid) }
            let gateway = try online(for: jid)
            try await gateway.admission.invite(jid, name: name)
            return answer(gateway, jid, nil)
        }
    }

    func approve(_ text: String, name: String?) async -> Answer<ContactChange> {
        await Answer {
            let jid = try gateways.address(of: text)
            if let name { try gateways.requireFree(name, for: jid) }
            let gateway = try online(for: jid)
            let wasContact = gateway.contacts.isContact(jid)
            guard gateway.admission.knows(jid) else {
                throw QiError(.notFound, "\(jid) has not asked to be a contact of \(gateway.own)", hint: Command.invite(jid))
            }
            try await gateway.admission.invite(jid, name: name, by: .approved)
            return answer(gateway, jid, wasContact ? "it was a contact already" : nil)
        }
    }

    func deny(_ text: String) async -> Answer<ContactChange> {
        await Answer {
            let jid = try gateways.address(of: text)
            let concerned = gateways.filter { $0.admission.knows(jid) }
            guard !concerned.isEmpty else {
                throw QiError(.notFound, "\(jid) is no contact, and has not asked to be one", hint: "qimesh devices")
            }
            var notes: [String] = []
            for gateway in concerned {
                do {
                    try await gateway.admission.deny(jid)
                } catch is XMPPError {
                    notes.append("\(gateway.own) is not online: its server lists \(jid) until it is denied again")
                }
                if gateway.account.accept.contains(where: { $0.matches("\(jid)") }) {
                    notes.append("accept lets it in when it asks again; to keep it out: qimesh revoke \(PrivateFile.quoted("\(jid)"))")
                }
            }
            return answer(concerned[0], jid, notes.isEmpty ? nil : notes.joined(separator: "; "))
        }
    }

    /// The account that knows the device, or else the first that is online.
    private func online(for jid: JID) throws(QiError) -> XMPPGateway {
        if let known = gateways.first(where: { $0.admission.knows(jid) && $0.client.state.isOnline }) { return known }
        if let gateway = gateways.first(where: { $0.client.state.isOnline }) { return gateway }
        guard let first = gateways.first else {
            throw QiError(.notFound, "this node has no account", hint: "add one below xmpp: in qimesh.yaml, then send the node SIGHUP")
        }
        throw QiError(.offline, "\(first.own) is not online, and so no account of this node", hint: "qimesh status")
    }

    private func answer(_ gateway: XMPPGateway, _ jid: JID, _ note: String?) -> ContactChange {
        ContactChange(jid: "\(jid)", name: gateway.contacts.contact(jid)?.name, note: note)
    }
}
