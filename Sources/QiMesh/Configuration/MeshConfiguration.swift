import Foundation
import QiMessaging

/// What `qimesh.yaml` says. Without a file every default holds, and the node is a local bus without an account.
///
/// Unknown keys, values of the wrong kind and values out of range are errors that name file, line and what would be right. The
/// keys are those of this version; the format is documented in the reference "cli-and-config" §4.
public struct MeshConfiguration: Sendable {
    /// What this device says about itself.
    public var device: MeshConfiguration.Device
    /// The robot's own bus.
    public var `internal`: Internal
    /// The public door; `nil`: none.
    public var gateway: Gateway?
    /// The accounts under which the device meets others; none is allowed.
    public var xmpp: [Account]
    /// The file that says who may do what, absolute; nil: `policy.yaml` beside the configuration, if there is one.
    public var policy: String?
    /// The ways to other devices.
    public var paths: MeshConfiguration.Paths
    /// Devices that offer the same services under one name.
    public var groups: [Group]
    /// Bounds.
    public var limits: Limits
    /// What is logged.
    public var log: Log

    /// All defaults.
    public init() {
        device = MeshConfiguration.Device()
        `internal` = Internal()
        xmpp = []
        paths = MeshConfiguration.Paths()
        groups = []
        limits = Limits()
        log = Log()
    }

    /// Where the password of an account comes from: its `password-file`, else the environment variable
    /// ``PasswordSource/variable``, which serves one account only, or one server would be sent another's password.
    public func passwordSource(of account: Account) -> PasswordSource {
        if let file = account.passwordFile { return .file(file) }
        return .environment(PasswordSource.variable)
    }

    /// What this device is called where it has to have a name: `device.name`, else its account's, else its host's.
    var deviceName: String {
        device.name ?? xmpp.first.map { String($0.jid.prefix { $0 != "@" }) } ?? ProcessInfo.processInfo.hostName
    }

    /// Where the directory listens by TCP where `internal.listen` is not given; beside a directory of this machine that has that port, at
    /// the next.
    static let (usualListener, listenerBesideNAOqi) = ("tcp://127.0.0.1:9559", "tcp://127.0.0.1:9560")

    /// Whether `device.naoqi` has the usual port of this machine.
    var hasNAOqiAtUsualPort: Bool {
        guard case .tcp(let host, port: 9559)? = device.naoqi?.endpoint?.kind else { return false }
        return host.lowercased() == "localhost" || device.naoqi?.endpoint?.isLoopback == true || Endpoint.isOfThisMachine(host: host)
    }

    /// What the directory listens on: the unix socket of `paths`, unless `internal.unix-socket` is false, and `internal.listen`, by
    /// default `tcp://127.0.0.1:9559`, or port 9560 where `device.naoqi` has that one.
    public func listeners(paths: MeshPaths) -> [String] {
        let listen = `internal`.listen ?? [hasNAOqiAtUsualPort ? Self.listenerBesideNAOqi : Self.usualListener]
        let isListed = listen.contains { Endpoint($0)?.kind == .unix(path: paths.directorySocket) }
        return `internal`.hasSocket && !isListed ? ["unix:" + paths.directorySocket] + listen : listen
    }
}

extension MeshConfiguration: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable { case device, `internal`, gateway, xmpp, policy, paths, groups, limits, log }

    /// Decodes the whole document; used through ``load(_:)``, which turns decoding errors into places in the file.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(CodingKeys.self)
        self.init()
        device = try container.decodeIfPresent(MeshConfiguration.Device.self, forKey: .device) ?? device
        `internal` = try container.decodeIfPresent(Internal.self, forKey: .internal) ?? `internal`
        gateway = try container.decodeIfPresent(Gateway.self, forKey: .gateway)
        xmpp = try container.decodeIfPresent([Account].self, forKey: .xmpp) ?? xmpp
        policy = try container.path(.policy)
        paths = try container.decodeIfPresent(MeshConfiguration.Paths.self, forKey: .paths) ?? paths
        groups = try container.decodeIfPresent(GroupSection.self, forKey: .groups)?.groups ?? groups
        limits = try container.decodeIfPresent(Limits.self, forKey: .limits) ?? limits
        log = try container.decodeIfPresent(Log.self, forKey: .log) ?? log
        var seen: Set<String> = []
        for (index, account) in xmpp.enumerated() where !seen.insert(account.jid).inserted {
            throw container.wrong(.xmpp, index: index, "the account \(account.jid) is listed twice")
        }
        let sharing = xmpp.filter { $0.passwordFile == nil }
        if sharing.count > 1 {
            throw container.wrong(
                .xmpp,
                "\(sharing.count) accounts have no password-file, but \(PasswordSource.variable) can serve only one of them")
        }
    }
}
