import Glibc
import NIOCore
import QiWire

/// What a directory says of a service to one connection (wire reference §19, §19.1).
extension ServiceDirectory {
    // MARK: - Answers

    func ownInfo(for connection: Connection) -> ServiceInfo {
        ServiceInfo(
            name: "ServiceDirectory", serviceID: 1, machineID: machineID, processID: UInt32(bitPattern: getpid()),
            endpoints: ownEndpoints(for: connection), sessionID: "0", objectUID: [])
    }

    /// Addresses of ours never travel to the outside, except the one this client used, which on the local bus comes first, and those a
    /// gateway advertises.
    func ownEndpoints(for connection: Connection) -> [String] {
        let used = connection.localEndpoint
        var result: [String] = []
        let isRelative = connection.shared.relativeEndpointURI || used == nil
        if isRelative { result.append("qi:ServiceDirectory") }
        if connection.isOutside {
            return result + (outsideAddresses ?? GatewayAddresses()).endpoints(used: used, isRelative: isRelative)
        }
        if let used { result.append(used) }
        let rest = endpoints.filter { !result.contains($0) }
        return result + rest
    }

    func throughUs(_ entry: DirectoryTable.Entry, for connection: Connection) -> ServiceInfo {
        answerInfo(
            name: entry.info.name, id: entry.info.serviceID, sessionID: entry.info.sessionID, uid: entry.info.objectUID,
            for: connection)
    }

    func answerInfo(
        name: String, id: UInt32, sessionID: String, uid: [UInt8], for connection: Connection
    ) -> ServiceInfo {
        ServiceInfo(
            name: name, serviceID: id, machineID: machineID, processID: UInt32(bitPattern: getpid()),
            endpoints: ownEndpoints(for: connection), sessionID: sessionID, objectUID: uid)
    }

    /// What the owner registered, loopback first, without what is relative to its own connection (reference §19).
    func direct(_ entry: DirectoryTable.Entry, for connection: Connection) -> ServiceInfo {
        var info = entry.info
        let parsed = Set(info.endpoints).compactMap(Endpoint.init).filter { if case .relative = $0.kind { false } else { true } }
        info.endpoints = parsed.sorted { ($0.isLoopback ? 0 : 1, $0.text) < ($1.isLoopback ? 0 : 1, $1.text) }.map(\.text)
        return info
    }
}
