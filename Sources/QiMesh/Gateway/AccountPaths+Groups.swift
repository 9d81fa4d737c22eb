import QiMessaging
import XMPP

/// Devices that go by one name.
extension AccountPaths {
    func group(named name: String) throws(QiError) -> DeviceGroup? {
        guard let group = groups().first(where: { $0.name == name }) else { return nil }
        if let holder = gateways.lazy.compactMap({ $0.contacts.named(name) }).first {
            throw QiError(
                .conflict, "\"\(name)\" is a group of the configuration and what \(holder.jid) is called",
                hint: "call the device otherwise: qimesh approve \(word: holder.jid) --name NAME")
        }
        return DeviceGroup(name: name, members: members(of: group), idempotent: group.idempotent)
    }

    /// The contacts that belong to a group, each once; of one with several programs, each of these.
    private func members(of group: MeshConfiguration.Group) -> [DeviceGroup.Member] {
        var found: [String: [DeviceGroup.Member]] = [:]
        for gateway in gateways {
            for contact in gateway.contacts.all where group.holds(contact) {
                guard let jid = JID(contact.jid), found[contact.jid]?.contains(where: \.isThere) != true else { continue }
                let programs = gateway.peers.tunnelResources(of: jid)
                let name = contact.name ?? contact.jid
                found[contact.jid] = programs.count < 2
                    ? [DeviceGroup.Member(address: contact.jid, name: name, isThere: gateway.isThere(jid))]
                    : programs.map { program in
                        DeviceGroup.Member(
                            address: "\(program.jid)", name: "\(name)/\(program.jid.resource ?? "")", isThere: gateway.isThere(program.jid))
                    }
            }
        }
        return found.values.flatMap { $0 }
    }
}

extension XMPPGateway {
    /// Whether a tunnel to a contact may be opened now, as far as is known.
    fileprivate func isThere(_ device: JID) -> Bool {
        client.state.isOnline && client.isMutual(device) && peers.tunnelResource(of: device) != nil && !peers.isStale(device)
    }
}
