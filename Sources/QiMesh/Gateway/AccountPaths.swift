import NIOCore
import QiMessaging
import QiWire
import Synchronization
import XMPP

/// The devices of all accounts of a node, as its directory sees them. A device is a bare JID; the first account that has it as a
/// contact reaches it.
final class AccountPaths: DevicePaths {
    private let accounts: AccountSet
    private var gateways: [XMPPGateway] { accounts.gateways }

    init(_ accounts: AccountSet) { self.accounts = accounts }

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
        throw gateways.unknown(name)
    }

    private func gateway(of device: String) throws(QiError) -> (XMPPGateway, JID) {
        if let jid = JID(device) {
            // A contact stays one while our server is away, or has lost it.
            let known = gateways.filter { $0.contacts.isContact(jid) }
            if let gateway = known.first(where: { $0.client.isMutual(jid) }) ?? known.first { return (gateway, jid) }
        }
        throw QiError(.denied, "\(device) is no contact any more", hint: "qimesh devices")
    }

    func open(
        _ device: String, on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(QiError) {
        let (gateway, jid) = try gateway(of: device)
        try await gateway.open(jid, on: eventLoop, install: install)
    }

    func credentials(for device: String) -> Capabilities {
        (try? gateway(of: device)).map { $0.0.credentials(for: $0.1) } ?? Capabilities()
    }

    func refusal(of device: String) -> QiError? {
        (try? gateway(of: device)).flatMap { $0.0.refusal(of: $0.1) }
    }

    func judge(_ answer: Capabilities, of device: String) throws(QiError) {
        let (gateway, jid) = try gateway(of: device)
        try gateway.judge(answer, of: jid)
    }

    func untilReachable(_ device: String) async {
        guard let (gateway, jid) = try? gateway(of: device), gateway.peers.tunnelResource(of: jid) == nil else { return }
        await gateway.peers.nextPresence(of: jid)
    }
}
