import ArgumentParser
import Foundation
import QiMesh

/// `qimesh status`: this node.
struct Status: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "This node: where it listens, its accounts, its tunnels.")

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            let status = try await control.ask { try await $0.status() }
            if console.json { return console.done(JSONValue(control: status).spreading("door")) }
            Self.print(status, console, now: Date().timeIntervalSince1970)
        }
    }

    private static func print(_ status: NodeStatus, _ console: Console, now: Double) {
        func since(_ time: Double?) -> Table.Cell { .init(time.map { TimeText.ago(now - $0) } ?? "") }
        let model = status.model.map { "  \($0)" } ?? ""
        console.line(Printable.line("\(status.name)\(model)  qimesh \(status.version)  machine \(status.machineId)"))
        for url in status.directory { console.line("directory  " + Printable.line(url)) }
        for what in status.directoryMissing { console.line("directory  " + Printable.line("not there yet, and waited for: \(what)")) }
        if let door = status.door { print(door, console) }
        if status.descriptors.exhausted {
            console.line("no file descriptor is left of \(status.descriptors.limit): new connections wait until others end")
        }
        if let trouble = status.door?.gatewayTrouble {
            let extent = status.door?.gateway.isEmpty == true ? "not open" : "not open everywhere"
            console.line("gateway    " + Printable.line("\(extent), and tried again: \(trouble)"))
        }
        if let master = status.master {
            console.line("member of  " + Printable.line(master + (status.masterTrouble.map { "  (\($0))" } ?? "")))
        }
        if let naoqi = status.naoqi { print(naoqi, console) }
        if status.accounts.isEmpty {
            console.line("no account: a local bus only")
        } else {
            var table = Table(["ACCOUNT", "STATE", "SINCE", "RESOURCE", .init("REASON", .list)])
            for row in status.accounts {
                table.add([
                    .init(row.jid), .init(row.state, Tint(state: row.state)), since(row.since), .init(row.resource),
                    .init(row.reason ?? ""),
                ])
            }
            console.table(table)
        }
        print(status.pairing, console, now)
        if !status.hosted.isEmpty {
            var table = Table(["HOSTED HERE", "BY", "STATE", "JID"])
            for row in status.hosted { table.add([.init(row.service), .init(row.device), .init(row.away ? "away" : "up"), .init(row.jid)]) }
            console.table(table)
        }
        if status.groups.contains(where: { !$0.members.isEmpty }) { console.table(GroupTable.table(status.groups)) }
        for note in GroupTable.notes(status.groups) { console.note("! \(note)") }
        guard !status.tunnels.isEmpty else { return }
        var table = Table(["TUNNEL", "DIRECTION", "CALLS", "SINCE", "JID"])
        for row in status.tunnels {
            table.add([.init(row.device), .init(row.direction), .init("\(row.calls)"), since(row.since), .init(row.jid)])
        }
        console.table(table)
    }

    private static func print(_ door: DoorStatus, _ console: Console) {
        for url in door.gateway { console.line("gateway    " + Printable.line(url)) }
        if let key = door.gatewayKey { console.line("  its key  " + key) }
    }

    private static func print(_ naoqi: NAOqiStatus, _ console: Console) {
        let services = "\(naoqi.services) service\(naoqi.services == 1 ? "" : "s")"
        let standing = naoqi.trouble ?? "\(services) here, \(naoqi.published.count) of ours there"
        console.line("naoqi      " + Printable.line("\(naoqi.address)  (\(standing))"))
        for (name, reason) in naoqi.unpublished.sorted(by: { $0.key < $1.key }) {
            console.line("           " + Printable.line("\(name) is not found there, and tried again: \(reason)"))
        }
    }

    /// Tokens that others may hold, and who was refused.
    private static func print(_ pairing: PairingStatus, _ console: Console, _ now: Double) {
        if pairing.outstanding > 0 {
            console.line("\(pairing.outstanding) pairing token\(pairing.outstanding == 1 ? "" : "s") not used yet: qimesh enroll --list")
        }
        for attempt in pairing.refused { console.line(Enrollments.refusal(attempt, token: nil, now)) }
    }
}
