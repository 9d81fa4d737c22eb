import QiWire

/// What a master directory lists, as a member board remembers it: it answers look-ups also while the master is away. Pure.
///
/// After the master came back, what it does not list again is *missing*: it may still return, for the master, too, waits for its
/// owner (``DirectoryTable/reservationTime``).
struct ServiceMirror {
    /// What whoever listens to this directory is to be told.
    enum Change: Equatable {
        case added(UInt32, String)
        case removed(UInt32, String)
    }

    private var infos: [UInt32: ServiceInfo] = [:]
    private var ids: [String: UInt32] = [:]
    private var missing: Set<UInt32> = []
    /// The lowest id of what a directory answers beside what it lists. A gateway lists services under ids that a directory has for others.
    var end = ServiceIDs.end

    /// More services than a robot has; those beyond are not mirrored.
    static let maximumServices = 65_536

    var services: [ServiceInfo] { infos.values.sorted { $0.serviceID < $1.serviceID } }

    func service(named name: String) -> ServiceInfo? { ids[name].flatMap { infos[$0] } }

    func service(_ id: UInt32) -> ServiceInfo? { infos[id] }

    /// The master lists a service.
    mutating func entered(_ info: ServiceInfo) -> [Change] {
        let id = info.serviceID
        guard id >= 2, id < end, DirectoryTable.isValid(name: info.name) else { return [] }
        missing.remove(id)
        let info = info.withoutNeighbours
        if let known = infos[id], known.name == info.name, known.isSame(as: info) {
            infos[id] = info
            return []
        }
        var changes = removed(id)
        if let other = ids[info.name] { changes += removed(other) }
        guard infos.count < Self.maximumServices else { return changes }
        infos[id] = info
        ids[info.name] = id
        return changes + [.added(id, info.name)]
    }

    /// The master lists it no more.
    mutating func removed(_ id: UInt32) -> [Change] {
        missing.remove(id)
        guard let info = infos.removeValue(forKey: id) else { return [] }
        ids[info.name] = nil
        return [.removed(id, info.name)]
    }

    /// The master is back, and lists these.
    mutating func listed(_ list: [ServiceInfo]) -> [Change] {
        missing = Set(infos.keys)
        return list.flatMap { entered($0) }
    }

    /// What did not return is gone.
    mutating func forgetMissing() -> [Change] { missing.sorted().flatMap { removed($0) } }
}

extension ServiceInfo {
    /// Without the relative endpoints of the other services of its process: libqi's directory lists one for each of them with each of
    /// them (`src/messaging/servicedirectory.cpp`), and none leads further than the service's own addresses.
    var withoutNeighbours: ServiceInfo {
        var info = self
        info.endpoints = endpoints.filter { !$0.hasPrefix("qi:") || $0 == "qi:ServiceDirectory" }
        return info
    }
}
