public import Logging
import QiMessaging

extension MeshConfiguration {
    /// What this device says about itself.
    public struct Device: Hashable, Sendable {
        /// The nickname shown to others, at most 64 bytes. Shown only: what a peer is called here is decided by our own roster.
        public var name: String?
        /// Make and version, such as `Pepper 1.8`, at most 64 bytes.
        public var model: String?
        /// What this device is among the computers of its robot.
        public var role = DeviceRole.master
        /// Of a member: the master's directory, `tcp://host:port` on the robot's internal network.
        public var directory: String?
        /// An existing directory whose services are this device's too; `nil`: there is none. Not on a member.
        public var naoqi: NAOqi?
    }

    /// The robot's own bus.
    public struct Internal: Hashable, Sendable {
        /// URLs (`unix:/path`, `tcp://host:port`) beside the node's own unix socket; `nil` is the default of
        /// ``MeshConfiguration/listeners(paths:)``.
        public var listen: [String]?
        /// Whether the directory listens at the node's own unix socket, by which commands and the gateway reach it.
        public var hasSocket = true
        /// The network interfaces of the robot's own network, `lo` among them: nothing is listened at elsewhere, and nobody from elsewhere
        /// let in. `nil`: not looked at.
        public var interfaces: [String]?
        /// Whose programs on this machine may use the TCP port.
        public var users = InternalUsers.own
        /// Where the machine id comes from.
        public var machineID = MachineIDSource.automatic
    }

    /// Bounds that hold for every peer.
    public struct Limits: Hashable, Sendable {
        /// Calls of one peer in flight at once, 1 to 65 536.
        public var callsPerPeer = 1024
        /// The largest message in bytes, 1 kB to 2 GB.
        public var payload = 50_000_000
        /// A relayed call fails this long after path or owner stopped answering, 1 s to 1 h.
        public var pathLoss = Duration.seconds(30)
        /// How long calls that are in work may take to end when the node is told to stop, 0 s to 1 h.
        public var stop = Duration.seconds(5)
    }

    /// What is logged.
    public struct Log: Hashable, Sendable {
        /// Everything below is not logged.
        public var level = Logger.Level.info
    }
}

extension MeshConfiguration.Device: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable { case name, model, role, directory, naoqi }

    /// Decodes the section `device`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(
            CodingKeys.self, advice: ["master": "the master's address is given as directory, and role: member says that there is one"])
        name = try container.text(.name, limit: 64)
        model = try container.text(.model, limit: 64)
        if let text = try container.text(.role, limit: 64) {
            guard let role = DeviceRole(rawValue: text) else {
                throw container.wrong(
                    .role, "\"\(text)\" is not one of \(DeviceRole.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            self.role = role
        }
        directory = try container.text(.directory, limit: 300).map { Endpoint.typed($0)?.text ?? $0 }
        if let directory {
            guard role == .member else {
                throw container.wrong(.directory, "only a member has another directory: add role: member, or remove this line")
            }
            guard directory.hasPrefix("tcp://"), HostPort(String(directory.dropFirst("tcp://".count))) != nil else {
                throw container.wrong(.directory, "\"\(directory)\" must name host and port: tcp://HOST:PORT")
            }
        } else if role == .member {
            throw container.wrong(.role, "a member needs the master's address: directory: tcp://HOST:PORT")
        }
        naoqi = try container.decodeIfPresent(MeshConfiguration.NAOqi.self, forKey: .naoqi)
        if naoqi != nil, role == .member {
            throw container.wrong(.naoqi, "a member board shows what its master lists: give naoqi to the master")
        }
    }
}

extension MeshConfiguration.Internal: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case interfaces, listen, users
        case hasSocket = "unix-socket"
        case machineID = "machine-id"
    }

    /// Decodes the section `internal`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(CodingKeys.self)
        listen = try container.decodeIfPresent([String].self, forKey: .listen)?.map { Endpoint.typed($0)?.text ?? $0 }
        for (index, url) in (listen ?? []).enumerated() {
            if let complaint = Self.complaint(about: url) { throw container.wrong(.listen, index: index, complaint) }
        }
        hasSocket = try container.decodeIfPresent(Bool.self, forKey: .hasSocket) ?? true
        if !hasSocket, listen?.isEmpty == true {
            throw container.wrong(.listen, "without unix-socket there has to be an address in this list")
        }
        interfaces = try container.decodeIfPresent([String].self, forKey: .interfaces)
        for (index, name) in (interfaces ?? []).enumerated() {
            // IFNAMSIZ, less the end.
            guard (1...15).contains(name.utf8.count), name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
                throw container.wrong(.interfaces, index: index, "\"\(name)\" is no name of a network interface, such as eth0")
            }
        }
        users = try container.decodeIfPresent(InternalUsers.self, forKey: .users) ?? users
        if interfaces?.isEmpty == true { throw container.wrong(.interfaces, "there is no interface in this list, not even lo") }
        if let text = try container.text(.machineID, limit: 4_096) {
            guard let source = MachineIDSource(text) else {
                throw container.wrong(
                    .machineID,
                    "\"\(text)\" is not auto, systemd, file:/PATH or an identifier of 1 to 64 letters, digits and dashes")
            }
            machineID = source
        }
    }

    /// The kinds of URL that exist so far; their exact form is judged by whoever listens.
    private static func complaint(about url: String) -> String? {
        if url.hasPrefix("unix:") {
            let path = url.dropFirst("unix:".count)
            guard path.hasPrefix("/") else { return "\"\(url)\" must name an absolute path: unix:/PATH" }
            do throws(MeshError) {
                try MeshPaths.checkSocketPath(String(path))
            } catch {
                return error.message
            }
            return nil
        }
        guard url.hasPrefix("tcp://") else { return "\"\(url)\" is neither unix:/PATH nor tcp://HOST:PORT" }
        guard HostPort(String(url.dropFirst("tcp://".count)), allowingPortZero: true) != nil else {
            return "\"\(url)\" must name host and port: tcp://HOST:PORT"
        }
        return nil
    }
}

extension MeshConfiguration.Limits: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case callsPerPeer = "calls-per-peer"
        case payload
        case pathLoss = "path-loss"
        case stop
    }

    /// Decodes the section `limits`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(CodingKeys.self)
        if let calls = try container.decodeIfPresent(Int.self, forKey: .callsPerPeer) {
            guard (1...65_536).contains(calls) else {
                throw container.wrong(.callsPerPeer, "\(calls) is not between 1 and 65536")
            }
            callsPerPeer = calls
        }
        if let text = try container.text(.payload, limit: 32) {
            guard let bytes = Quantity.bytes(text), (1_000...2_000_000_000).contains(bytes) else {
                throw container.wrong(.payload, "\"\(text)\" is not a size between 1kB and 2GB, such as 50MB")
            }
            payload = bytes
        }
        if let text = try container.text(.pathLoss, limit: 32) {
            guard let time = Quantity.duration(text), time >= .seconds(1), time <= .seconds(3_600) else {
                throw container.wrong(.pathLoss, "\"\(text)\" is not a time between 1s and 1h, such as 30s")
            }
            pathLoss = time
        }
        if let text = try container.text(.stop, limit: 32) {
            guard let time = Quantity.duration(text), time >= .zero, time <= .seconds(3_600) else {
                throw container.wrong(.stop, "\"\(text)\" is not a time between 0s and 1h, such as 5s")
            }
            stop = time
        }
    }
}

extension MeshConfiguration.Log: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable { case level }

    /// Decodes the section `log`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(CodingKeys.self)
        if let text = try container.text(.level, limit: 32) {
            guard let level = Logger.Level(rawValue: text) else {
                throw container.wrong(
                    .level, "\"\(text)\" is not one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            self.level = level
        }
    }
}
