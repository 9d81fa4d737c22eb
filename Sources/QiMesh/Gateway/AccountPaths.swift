import QiMessaging
import Synchronization
import XMPP

/// The devices of all accounts of a node, as its directory sees them. A device is a bare JID; the first account that has it as a
/// contact reaches it.
final class AccountPaths: DevicePaths {
    private let accounts: AccountSet
    /// What the configuration says of groups now.
    let groups: @Sendable () -> [MeshConfiguration.Group]
    var gateways: [XMPPGateway] { accounts.gateways }

    init(_ accounts: AccountSet, groups: @escaping @Sendable () -> [MeshConfiguration.Group] = { [] }) {
        self.accounts = accounts
        self.groups = groups
    }

    func device(named name: String) throws(QiError) -> String {
        var refusal: QiError?
        try gateways.requireOneMeaning(of: name, code: .conflict)
        for gateway in gateways {
            do throws(QiError) {
                if let jid = try gateway.peers.contact(named: name) { return "\(jid)" }
            } catch {
                refusal = refusal ?? error
            }
        }
        if let refusal { throw refusal }
        if gateways.isEmpty {
            throw QiError(
                .notFound, "no device \"\(name)\": this node has no account", hint: "add one below xmpp: in qimesh.yaml, then send the node SIGHUP")
        }
        if groups().contains(where: { $0.name == name }) {
            throw QiError(.unsupported, "\(name) is a group: name one of its devices", hint: "qimesh path \(word: name)")
        }
        throw gateways.unknown(name)
    }

    func gateway(of device: String) -> (XMPPGateway, JID)? {
        guard let jid = JID(device) else { return nil }
        // A contact stays one while our server is away, or has lost it.
        let known = gateways.filter { $0.contacts.isContact(jid) }
        return (known.first { $0.client.isMutual(jid) } ?? known.first).map { ($0, jid) }
    }

    func attempt(_ device: String) throws(QiError) -> any PathAttempt {
        guard let (gateway, jid) = gateway(of: device) else { throw TunnelAttempt.noContact(device) }
        return TunnelAttempt(to: jid, over: gateway)
    }

    func untilReachable(_ device: String) async {
        guard let (gateway, jid) = gateway(of: device), gateway.peers.tunnelResource(of: jid) == nil else { return }
        await gateway.peers.nextPresence(of: jid)
    }
}
