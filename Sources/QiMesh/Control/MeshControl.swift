package import QiMessaging

/// The node's own service: what the command asks it. A service like any other, except that only this user's processes reach it, by the
/// unix socket, and that no listing shows it.
///
/// Every method answers an ``Answer``. What it throws is the bus's: a node that is gone, too slow, or of another version.
/// The number is raised with every change of a member or of a structure below: structures are read by position.
@Service("MeshControl3") package protocol MeshControl: Sendable {
    /// What happens while ``pair(_:name:account:seconds:ticket:)`` waits: its ticket, and the step in words.
    var pairing: Signal<String, String> { get }
    /// What becomes of services that are registered at a tunnel: the ticket of the tunnel, `up`, `refused`, `away` or `gone`, the name of
    /// the service, and why.
    var hosting: Signal<String, String, String, String> { get }

    func status() async throws(QiError) -> Answer<NodeStatus>
    /// The devices, after those that were not heard lately have been asked whether they are alive: within about two seconds.
    func devices() async throws(QiError) -> Answer<[DeviceRow]>
    /// The same once something about them is other than at `version`, or the time is up. As long as this is asked again and again, the
    /// devices are asked whether they are alive.
    /// - Parameters:
    ///   - version: what the last answer said; nil for the devices as they are.
    ///   - seconds: how long to wait for a change, at most 60.
    func watchDevices(since version: String?, seconds: Int) async throws(QiError) -> Answer<DeviceListing>
    /// Asks a device whether it is alive, and measures how long it takes to answer.
    /// - Parameter milliseconds: how long it may take, at most 600 000.
    func ping(_ device: String, milliseconds: Int) async throws(QiError) -> Answer<PingAnswer>
    /// Which way calls to a device take, measured; opens a stream to it if there is none.
    /// - Parameter use: `direct`, `proxy` or `in-band` keeps the stream on that path from now on, `auto` on the best one; empty leaves it.
    func path(of device: String, use: String) async throws(QiError) -> Answer<DevicePathRow>
    /// Keeps the stream to a device on one path for as long as the connection of the caller lasts, if that path can be had and no other
    /// caller keeps it on another; opens a stream if there is none. The round trip is the one that was measured last.
    /// - Parameter kind: `direct`, `proxy` or `in-band`.
    func holdPath(to device: String, on kind: String) async throws(QiError) -> Answer<DevicePathRow>
    /// Which way calls to a device take now: opens and measures nothing.
    func currentPath(to device: String) async throws(QiError) -> Answer<DevicePathRow>
    /// What the computers of this robot are called, by machine id.
    func boards() async throws(QiError) -> Answer<[String: String]>
    /// The services of this device that NAOqi's directory lists.
    func naoqiServices() async throws(QiError) -> Answer<[String]>
    /// The services that a device shows us.
    func services(of device: String) async throws(QiError) -> Answer<[ServiceInfo]>
    /// The services of this node's directory that devices host.
    func hosted() async throws(QiError) -> Answer<[HostedRow]>
    /// Presents a device's services at a local endpoint, for as long as the connection of the caller lasts.
    /// - Parameter ticket: what is registered there is registered with the device, and ``hosting`` calls it so; nil: nothing can be.
    func openTunnel(to device: String, at url: String, ticket: String?) async throws(QiError) -> Answer<OpenedTunnel>
    /// How the public door is used.
    func gateway() async throws(QiError) -> Answer<GatewayLoad>

    func identity() async throws(QiError) -> Answer<OwnIdentity>
    func rotateKey() async throws(QiError) -> Answer<RotatedKey>
    func trusted() async throws(QiError) -> Answer<[ContactKey]>
    func trust(_ contact: String) async throws(QiError) -> Answer<ContactKey>
    /// Pins a key, by its fingerprint.
    func acceptKey(of contact: String, _ fingerprint: String) async throws(QiError) -> Answer<AcceptedKey>
    func forgetKey(of contact: String) async throws(QiError) -> Answer<ForgottenKey>

    /// Asks a device to be a contact.
    func invite(_ jid: String, name: String?) async throws(QiError) -> Answer<ContactChange>
    /// Lets in a device that asks, or that only the server lists.
    func approve(_ contact: String, name: String?) async throws(QiError) -> Answer<ContactChange>
    func deny(_ contact: String) async throws(QiError) -> Answer<ContactChange>

    /// Makes a pairing token.
    /// - Parameter seconds: how long it is good for, at most 1 800; nil for the usual time.
    func enroll(name: String?, account: String?, seconds: Int?) async throws(QiError) -> Answer<MadeToken>
    func enrollments() async throws(QiError) -> Answer<EnrollmentListing>
    /// - Parameter id: nil for all tokens.
    func cancelEnrollment(_ id: String?) async throws(QiError) -> Answer<CancelledTokens>
    /// Uses the token of another device.
    /// - Parameters:
    ///   - seconds: how long to wait for the device, at most 86 400.
    ///   - ticket: what ``pairing`` calls this pairing.
    func pair(
        _ token: String, name: String?, account: String?, seconds: Int, ticket: String
    ) async throws(QiError) -> Answer<PairedDevice>
    func revoke(_ device: String) async throws(QiError) -> Answer<RevokedDevice>

    /// - Parameter permissions: as `AppManifest` has them.
    func installApp(
        _ name: String, description: String, permissions: [[String]], approved: Bool
    ) async throws(QiError) -> Answer<AppInstallation>
    func apps() async throws(QiError) -> Answer<[AppRow]>
    func approveApp(_ name: String) async throws(QiError) -> Answer<NamedApp>
    func revokeApp(_ name: String) async throws(QiError) -> Answer<NamedApp>

    func policy() async throws(QiError) -> Answer<PolicyListing>
    /// - Parameter zone: nil for the usual one of the caller's kind.
    func checkPolicy(who: String, target: String, action: String, zone: String?) async throws(QiError) -> Answer<PolicyAnswer>
    func reloadPolicy() async throws(QiError) -> Answer<ReloadedPolicy>

    /// The groups of the configuration, and what each of their devices has answered.
    func groups() async throws(QiError) -> Answer<[GroupRow]>
}

// MARK: - What there is

/// The node as `qimesh status` shows it. Times are seconds since 1970.
@QiStruct package struct NodeStatus: Hashable, Sendable {
    package var name: String
    package var model: String?
    package var role: String
    /// The master's directory, of a member.
    package var master: String?
    /// Why the master cannot be reached now.
    package var masterTrouble: String?
    /// The directory whose services are this device's, where there is one.
    package var naoqi: NAOqiStatus?
    package var version: String
    package var machineId: String
    /// Where the directory listens, and in words where it will when that is there.
    package var directory: [String]
    package var directoryMissing: [String]
    package var services: Int
    package var since: Double
    package var accounts: [AccountStatus]
    package var tunnels: [TunnelStatus]
    package var hosted: [HostedRow]
    package var descriptors: DescriptorStatus
    package var pairing: PairingStatus
    /// The policy file, and how many rules are in force.
    package var policy: String?
    package var rules: Int
    /// The public door, of a node that has one.
    package var door: DoorStatus?
    package var groups: [GroupRow]
}

/// A directory beside the node's, NAOqi's as a rule.
@QiStruct package struct NAOqiStatus: Hashable, Sendable {
    package var address: String
    /// Why it cannot be reached now.
    package var trouble: String?
    /// How many of its services this device shows.
    package var services: Int
    /// How many of those in use are away and awaited.
    package var servicesAway: Int
    /// The services of this node that are found there.
    package var published: [String]
    /// Those that should be, with the reason why they are not.
    package var unpublished: [String: String]
}

/// An account and its connection.
@QiStruct package struct AccountStatus: Hashable, Sendable {
    package var jid: String
    /// `offline`, `connecting`, `online`, `waiting`, `refused` or `stopped`.
    package var state: String
    /// Why it is not online.
    package var reason: String?
    package var since: Double?
    package var resource: String
}

/// A tunnel with another device.
@QiStruct package struct TunnelStatus: Hashable, Sendable {
    package var device: String
    package var jid: String
    /// `out` or `in`.
    package var direction: String
    /// Of one that this node opened.
    package var since: Double?
    package var calls: Int
    /// Of one that this node opened.
    package var services: Int?
}

/// A service here that a device hosts.
@QiStruct package struct HostedRow: Hashable, Sendable {
    package var service: String
    package var device: String
    package var jid: String
    /// Whether there is no way to the device now, and the service is kept for it.
    package var away: Bool
}

/// The file descriptors of the node's process.
@QiStruct package struct DescriptorStatus: Hashable, Sendable {
    package var limit: Int
    package var exhausted: Bool
}

/// Tokens that others may hold, and the last attempts that were refused.
@QiStruct package struct PairingStatus: Hashable, Sendable {
    package var outstanding: Int
    package var refused: [RefusedAttempt]
}

/// The public door.
@QiStruct package struct DoorStatus: Hashable, Sendable {
    /// Where it listens.
    package var gateway: [String]
    package var gatewayKey: String?
    /// Why it is not open, or not everywhere, and since when.
    package var gatewayTrouble: String?
    package var gatewayTroubleSince: Double?
}

/// How the public door is used.
@QiStruct package struct GatewayLoad: Hashable, Sendable {
    package var endpoints: [String]
    /// What clients are told instead.
    package var advertised: [String]
    /// Why the directory inside cannot be used now.
    package var trouble: String?
    package var services: Int
    package var servicesInUse: Int
    package var servicesAway: Int
    package var connections: Int
    /// Connections that have not proven yet who they are.
    package var unproven: Int
}

/// A local directory that presents a device's services.
@QiStruct package struct OpenedTunnel: Hashable, Sendable {
    package var device: String
    package var url: String
    package var path: String
}

/// A contact, or a device that wants to be one. Times are seconds since 1970.
@QiStruct package struct DeviceRow: Hashable, Sendable {
    /// What this node's owner calls it; the address of one that has no name or is not let in.
    package var name: String
    package var jid: String
    /// `online`, `stale` (its server calls it available, and it does not answer), `offline`, `asks`, `invited`, `refused`, `unconfirmed`
    /// (only the server lists it), or `unknown` (we are offline ourselves).
    package var state: String
    package var model: String?
    /// Known of a device with an open tunnel.
    package var services: Int?
    /// Of an open tunnel.
    package var path: String?
    /// The round trip of the last question whether it is alive (XEP-0199), in milliseconds; nil when none was answered since it came.
    package var rtt: Double?
    /// Since when it has not answered, of one that is stale.
    package var staleSince: Double?
    /// When something last came from it; nil for never.
    package var lastSeen: Double?
    package var resource: String?
    package var subscription: String
    /// The pinned key.
    package var fingerprint: String?
    /// What its owner should know.
    package var note: String?
    /// How its owner let it in.
    package var admitted: String?
    /// The account of ours that it is a contact of.
    package var account: String
    /// Why that account is offline, of a device whose state is unknown for that.
    package var trouble: String?
}

/// The devices at one time.
@QiStruct package struct DeviceListing: Hashable, Sendable {
    /// Changes with what is known of them; means something to the node alone.
    package var version: String
    package var devices: [DeviceRow]
}

/// What a device answered to a ping.
@QiStruct package struct PingAnswer: Hashable, Sendable {
    /// The full address of the connection that answered.
    package var jid: String
    /// There and back, in milliseconds.
    package var rtt: Double
    /// Which way it took: `xmpp`, through the servers.
    package var path: String
}

/// Which way calls to a device take.
@QiStruct package struct DevicePathRow: Hashable, Sendable {
    package var jid: String
    /// The kind in use; nil while there is none.
    package var path: String?
    /// There and back, in milliseconds; nil when no answer came.
    package var rtt: Double?
    /// Bytes per second each way, the most of two seconds of the last minute.
    package var up: Double
    package var down: Double
    /// How often the stream has changed its path.
    package var changes: Int
    /// False for a device of a version that has one tunnel only.
    package var stream: Bool
    /// The kinds that are not in use, best first.
    package var candidates: [PathCandidateRow]
    /// What its owner could do.
    package var advice: [String]
}

/// A kind of path that is not in use.
@QiStruct package struct PathCandidateRow: Hashable, Sendable {
    package var path: String
    /// Why it is not; nil: it was not tried.
    package var reason: String?
    /// Seconds until it is tried again by itself.
    package var again: Double?
}

/// What became of a contact.
@QiStruct package struct ContactChange: Hashable, Sendable {
    package var jid: String
    package var name: String?
    /// What else its owner should know.
    package var note: String?
}
