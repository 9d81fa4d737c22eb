import QiMesh

extension NodeSession {
    /// The group that a name means; nil for a device's.
    func group(named name: String) async throws(CommandFailure) -> GroupRow? {
        try await control().ask { try await $0.groups() }.first { $0.name == name }
    }
}

/// Groups as commands show them.
enum GroupTable {
    /// Each device of a group, and its share of the calls that were answered.
    static func table(_ groups: [GroupRow]) -> Table {
        var table = Table(["GROUP", "DEVICE", "STATE", "PATH", "RTT", "CALLS", "ANSWERED", "SHARE", "LOST", .init("SERVICES", .list)])
        for group in groups {
            for member in group.members {
                let state = member.online ? "online" : "offline"
                table.add([
                    .init(group.name), .init(member.name), .init(state, Tint(state: state)), .init(member.path ?? ""),
                    .init(member.rtt.map(TimeText.milliseconds) ?? ""), .init("\(member.calls)"), .init("\(member.answered)"),
                    .init(share(of: member, in: group)), .init("\(member.lost)"),
                    .init(member.services.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")),
                ])
            }
        }
        return table
    }

    /// Of all calls that the group has answered, in per cent; empty when there were none.
    static func share(of member: GroupMemberRow, in group: GroupRow) -> String {
        let all = group.members.reduce(0) { $0 + $1.answered }
        return all == 0 ? "" : "\((member.answered * 200 + all) / (all * 2)) %"
    }

    /// What a person should know beside the table.
    static func notes(_ groups: [GroupRow]) -> [String] {
        groups.compactMap { group in
            if let trouble = group.trouble { return "\(group.name): \(trouble)" }
            return group.members.isEmpty ? "\(group.name): no contact fits what the configuration says of this group" : nil
        }
    }
}
