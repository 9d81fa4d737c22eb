import NIOCore
import QiWire

/// Makes the services of other devices usable on a directory: the name `DEVICE/Service` is looked up through a tunnel to that
/// device, which is opened at the first use. Confined to the bus loop; ``DirectoryServer`` holds it.
final class DeviceGateway: NameResolver {
    let bus: Bus
    let paths: any DevicePaths
    private let limits: ConnectionLimits
    private let pathLoss: TimeAmount
    private let streams: StreamStateMachine.Limits
    private(set) weak var directory: ServiceDirectory?
    private(set) var links: [String: DeviceLink] = [:]
    /// Services of groups that are in use, by the names that they were looked up as.
    var groupServices: [String: GroupService] = [:]
    /// Names of groups' services that are waited for.
    var awaitedOfGroups: Set<String> = []
    /// Which device of a group has answered how much, by group and address.
    var tallies: [String: [String: Tally]] = [:]
    /// Names that are waited for, of devices that are not known yet.
    private var unknown: Set<String> = []
    private var isLooking = false
    /// How often it is looked whether a device is known by now.
    private static let lookTime = TimeAmount.seconds(1)

    init(bus: Bus, directory: ServiceDirectory, paths: any DevicePaths, limits: ConnectionLimits, streams: StreamStateMachine.Limits, pathLoss: TimeAmount) {
        self.bus = bus
        self.streams = streams
        self.pathLoss = pathLoss
        self.directory = directory
        self.paths = paths
        self.limits = limits
    }

    /// What a look-up answers that takes longer than the directory lives.
    static let ended = QiError(.disconnected, "this directory has ended")

    func handles(_ name: String) -> Bool { Self.split(name) != nil }

    /// `DEVICE/Service` at the last slash: service names have none (cli reference §1.2).
    static func split(_ name: String) -> (device: String, service: String)? {
        guard let slash = name.lastIndex(of: "/"), slash != name.startIndex else { return nil }
        let service = name[name.index(after: slash)...]
        guard !service.isEmpty, name.utf8.count <= 4096 else { return nil }
        return (String(name[..<slash]), String(service))
    }

    func resolve(_ name: String, completion: @escaping (Result<ResolvedService, QiError>) -> Void) {
        guard let (deviceName, service) = Self.split(name) else {
            return completion(.failure(QiError(.notFound, "\"\(name)\" is not of the form DEVICE/Service")))
        }
        guard let directory else { return completion(.failure(Self.ended)) }
        do throws(QiError) {
            if let group = try group(named: deviceName) { return resolve(service, of: group, as: name, completion: completion) }
            try link(named: deviceName).resolve(service, as: name, for: directory, completion: completion)
        } catch {
            completion(.failure(error))
        }
    }

    func released(_ name: String) {
        guard let directory else { return }
        if groupServices[name] != nil { return endIfUnused(groupService: name) }
        for link in links.values { link.released(name, by: directory) }
    }

    func list(completion: @escaping (Result<[ServiceInfo], QiError>) -> Void) { completion(.success([])) }

    // MARK: - Waiting for what is not there

    func expect(_ name: String) -> Bool {
        guard let (device, service) = Self.split(name), let directory, !bus.isShutDown else { return false }
        if expectOfGroup(name) { return true }
        do throws(QiError) {
            try link(named: device).expect(service, as: name, for: directory)
        } catch {
            // Not known yet, as before the first login.
            unknown.insert(name)
            lookForUnknown()
        }
        return true
    }

    func stopExpecting(_ name: String) {
        unknown.remove(name)
        awaitedOfGroups.remove(name)
        guard let directory else { return }
        for link in links.values { link.stopExpecting(name, for: directory) }
    }

    /// Looks again and again whether a device of that name is known, as long as a connection waits: that costs no message.
    private func lookForUnknown() {
        guard !isLooking else { return }
        isLooking = true
        bus.enqueue { [self] in
            while !unknown.isEmpty, !bus.isShutDown {
                await bus.pause(Self.lookTime)
                let names = unknown
                unknown = []
                for name in names { _ = expect(name) }
            }
            isLooking = false
        }
    }

    func link(named name: String) throws(QiError) -> DeviceLink { link(to: try paths.device(named: name)) }

    func link(to device: String) -> DeviceLink {
        if let known = links[device] { return known }
        let link = DeviceLink(bus: bus, device: device, paths: paths, limits: limits, streams: streams, pathLoss: pathLoss)
        links[device] = link
        return link
    }

    /// The device may have changed its mind.
    func forgetRefusal(by device: String) {
        for link in links(to: device) { link.forgetRefusal() }
    }

    /// The links to a device, and to each of its programs.
    private func links(to device: String) -> [DeviceLink] {
        links.filter { $0.key == device || $0.key.hasPrefix(device + "/") }.map(\.value)
    }

    /// The owner ended the contact, or its key changed: nothing goes over its tunnel any more. With `.denied` its services are gone too.
    func drop(_ device: String, _ error: QiError) {
        for link in links(to: device) { link.close(error) }
    }
}

/// A device's directory under its plain names, for tools that know no others (`qimesh tunnel`).
final class MirroredDevice: NameResolver {
    private let link: DeviceLink
    private weak var directory: ServiceDirectory?
    private let bus: Bus

    init(bus: Bus, link: DeviceLink, directory: ServiceDirectory) {
        self.bus = bus
        self.link = link
        self.directory = directory
        link.mirror(directory)
    }

    func handles(_ name: String) -> Bool { !name.isEmpty && name.utf8.count <= 4096 }

    func resolve(_ name: String, completion: @escaping (Result<ResolvedService, QiError>) -> Void) {
        guard let directory else { return completion(.failure(DeviceGateway.ended)) }
        link.resolve(name, as: name, for: directory, completion: completion)
    }

    func released(_ name: String) {
        if let directory { link.released(name, by: directory) }
    }

    func list(completion: @escaping (Result<[ServiceInfo], QiError>) -> Void) {
        guard !bus.isShutDown else { return completion(.failure(QiError(.disconnected, "this node is stopping"))) }
        bus.enqueue { [link, directory] in
            do throws(QiError) {
                // What is hosted from here is in the directory's own list.
                completion(.success(try await link.list().filter { directory?.hosting?.hosts($0.name) != true }))
            } catch {
                completion(.failure(error))
            }
        }
    }

    func end() {
        directory?.hosting?.end()
        if let directory { link.stopMirroring(directory) }
    }
}
