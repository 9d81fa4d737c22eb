import Logging
import QiMessaging
import XMPP

/// What the parts of a gateway know of its account: the client, the devices, and where things are written down. A value.
struct GatewayAccount: Sendable {
    /// The bare address of the account.
    let own: JID
    let client: XMPPClient
    /// Who the owner has let in here.
    let contacts: AccountContacts
    let peers: PeerDirectory
    let trust: TrustStore
    let keys: TunnelKeys
    let identity: CurrentIdentity
    /// The tokens that were made here; nil where none can be, in a program without a node.
    let enrollments: EnrollmentStore?
    let server: DirectoryServer
    let logger: Logger

    /// What the server's list says of an account.
    func listed(_ jid: JID) -> RosterItem? { client.roster().first { $0.jid == jid.bare } }

    /// Writes down what was done with a device.
    /// - Parameters:
    ///   - target: what it is about; nil for this account.
    ///   - place: where a device comes from that has proven nothing, as a rule its domain: such lines share a budget by it. Nil for an
    ///     account that is known.
    func record(
        _ event: String, _ device: String, _ access: String, isAllowed: Bool, _ detail: String?, target: String? = nil, place: String? = nil
    ) {
        server.access?.record(
            AuditRecord(
                event: event, principal: device, zone: .internet, target: target ?? "\(own)", access: access, isAllowed: isAllowed,
                path: "device \(device)", detail: detail, place: place))
    }
}
