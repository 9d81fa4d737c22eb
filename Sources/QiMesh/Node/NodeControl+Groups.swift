import Logging
import QiMessaging

/// Groups of devices.
extension NodeControl {
    func groups() async -> Answer<[GroupRow]> { await Answer { try await groupRows() } }

    func groupRows() async throws(QiError) -> [GroupRow] {
        var rows: [GroupRow] = []
        for group in configuration.groups {
            do throws(QiError) {
                if let status = try await server.group(named: group.name) { rows.append(GroupRow(status)) }
            } catch {
                rows.append(GroupRow(name: group.name, trouble: "\(error)", members: []))
            }
        }
        return rows
    }

    /// The services that any device of a group shows us, each once; nil for what is no group.
    func services(ofGroup name: String) async throws(QiError) -> [ServiceInfo]? {
        guard configuration.groups.contains(where: { $0.name == name }), let group = try await server.group(named: name) else { return nil }
        let server = self.server
        let found = await withTaskGroup { tasks in
            for member in group.members where member.isThere {
                tasks.addTask { () -> [ServiceInfo] in
                    do throws(QiError) {
                        return try await server.services(of: member.address)
                    } catch {
                        server.loop.logger.debug("services of a device not listed", metadata: ["error": "\(error)"])
                        return []
                    }
                }
            }
            return await tasks.reduce(into: [String: ServiceInfo]()) { found, services in
                for service in services where found[service.name] == nil { found[service.name] = service }
            }
        }
        return found.values.sorted { $0.name < $1.name }
    }
}

extension GroupRow {
    fileprivate init(_ status: GroupStatus) {
        self.init(name: status.name, trouble: nil, members: status.members.map(GroupMemberRow.init))
    }
}

extension GroupMemberRow {
    fileprivate init(_ member: GroupStatus.Member) {
        self.init(
            name: member.name, jid: member.address, online: member.isThere, path: member.path?.name,
            rtt: member.roundTrip.map { $0 / .milliseconds(1) }, services: member.services, calls: member.callsInFlight,
            answered: member.answered, lost: member.lost, proxies: member.proxies)
    }
}
