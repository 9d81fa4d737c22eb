import Logging
import NIOCore
import QiWire

extension DeviceLink: GroupLink {
    var roundTrip: TimeAmount? { ladder?.stream.machine.lastRoundTrip }
}

/// Names of which several devices answer.
extension DeviceGateway: GroupHost {
    /// What one device has answered of a group.
    struct Tally {
        var answered = 0
        var lost = 0
    }

    /// - Throws: `.conflict` for a name that a device has, too.
    func group(named name: String) throws(QiError) -> DeviceGroup? { try paths.group(named: name) }

    func groupLink(to address: String) -> any GroupLink { link(to: address) }

    func resolve(
        _ service: String, of group: DeviceGroup, as name: String, completion: @escaping (Result<ResolvedService, QiError>) -> Void
    ) {
        groupService(service, of: group, as: name).seek { result in
            completion(
                result.map { found in
                    // Who answers is chosen for each proxy: it is no object of one host.
                    let info = ServiceInfo(
                        name: service, serviceID: 0, machineID: "", processID: 0, endpoints: [], sessionID: group.name,
                        objectUID: found.uid.bytes)
                    return ResolvedService(object: found, info: info)
                })
        }
    }

    private func groupService(_ service: String, of group: DeviceGroup, as name: String) -> GroupService {
        if let known = groupServices[name], !known.isEnded { return known }
        let new = GroupService(service, of: group, as: name, on: bus, host: self)
        groupServices[name] = new
        new.begin()
        return new
    }

    /// Tells the directory when a service of a group is there that was not, as long as a connection waits for it.
    ///
    /// - Returns: false for a name that is no group's.
    func expectOfGroup(_ name: String) -> Bool {
        guard let (device, _) = Self.split(name) else { return false }
        do throws(QiError) {
            guard try group(named: device) != nil else { return false }
        } catch {
            // The look-up has said that the name means two things; it is looked up again until it means one.
            bus.logger.debug("a name is not one group's", metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
        }
        guard awaitedOfGroups.insert(name).inserted else { return true }
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(500), most: .seconds(5))
            while awaitedOfGroups.contains(name), !bus.isShutDown {
                await bus.pause(backoff.next())
                guard awaitedOfGroups.contains(name) else { return }
                resolve(name) { [self] result in
                    guard case .success = result, awaitedOfGroups.remove(name) != nil else { return }
                    directory?.arrived(name)
                }
            }
        }
        return true
    }

    /// Ends a service that no connection uses and no look-up waits for.
    func endIfUnused(groupService name: String) {
        guard let service = groupServices[name], !service.hasSeekers, directory?.lookUps[name]?.service.object !== service else { return }
        groupServices[name] = nil
        service.end(QiError(.notFound, "\(service.name) is not used"))
    }

    /// The service has another interface now.
    func retire(groupService name: String) {
        directory?.retire(name)
        endIfUnused(groupService: name)
    }

    func tally(answered: Int, lost: Int, by address: String, of group: String) {
        tallies[group, default: [:]][address, default: Tally()].answered += answered
        tallies[group, default: [:]][address, default: Tally()].lost += lost
    }

    /// How a group is used.
    func status(of group: DeviceGroup) -> GroupStatus {
        let used = groupServices.values.filter { Self.split($0.name)?.device == group.name }
        // Of those that are no member any more nothing is told, and nothing kept.
        let addresses = Set(group.members.map(\.address))
        tallies[group.name] = tallies[group.name]?.filter { addresses.contains($0.key) }
        return GroupStatus(
            name: group.name,
            members: group.members.map { member in
                let instances = used.compactMap { service in
                    service.instances[member.address].map { (name: Self.split(service.name)?.service ?? "", instance: $0) }
                }
                let tally = tallies[group.name]?[member.address] ?? Tally()
                let (link, path) = (links[member.address], links[member.address]?.pathStatus())
                return GroupStatus.Member(
                    address: member.address, name: member.name, isThere: member.isThere, path: path?.path, roundTrip: path?.roundTrip,
                    services: Dictionary(instances.map { ($0.name, $0.instance.word) }) { first, _ in first },
                    callsInFlight: link?.connection?.callsInFlight ?? 0, answered: tally.answered, lost: tally.lost,
                    proxies: instances.reduce(0) { $0 + $1.instance.proxies })
            })
    }
}

extension DirectoryServer {
    /// A group as this node uses it; nil when there is none of that name.
    ///
    /// - Throws: as ``DevicePaths/group(named:)``.
    public func group(named name: String) async throws(QiError) -> GroupStatus? {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            let gateway = try directory.value.requireGateway()
            return try gateway.group(named: name).map(gateway.status)
        }
    }
}
