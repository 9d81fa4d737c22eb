import ArgumentParser
import Foundation
import QiMesh

/// `qimesh devices`: the contacts and who wants to be one.
struct Devices: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "The devices of this node's contacts, and who asks to be one.",
        discussion: """
            A device that was not heard within the last 8 seconds is asked whether it is alive. It is stale when its server calls it \
            available and it has not answered for 5 seconds, or for 2 if it has always been quick. RTT is the round trip of its last \
            answer, through the servers; PATH that of an open tunnel. With --watch each device is printed, and again whenever something \
            about it changes; meanwhile the devices are asked all the time.
            """)

    @Flag(help: "Print each device, then each change, until Ctrl-C.")
    var watch = false

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        try await withControl(console) { (control, _) async throws(CommandFailure) in
            if watch {
                let quiet = ControlInterface(proxy: control.proxy, patience: control.patience, console: console.silent)
                return try await DeviceWatch(control: quiet, console: console).run()
            }
            let devices = try await control.ask { try await $0.devices() }
            let groups = try await control.ask { try await $0.groups() }
            if console.json {
                return console.done(.object([("devices", JSONValue(control: devices)), ("groups", JSONValue(control: groups))]))
            }
            if devices.isEmpty { return console.note("no devices yet; to pair with one: qimesh enroll; there: qimesh pair") }
            console.table(Self.table(devices, now: Date().timeIntervalSince1970))
            console.line(Self.summary(devices))
            if groups.contains(where: { !$0.members.isEmpty }) { console.table(GroupTable.table(groups)) }
            for note in GroupTable.notes(groups) { console.note("! \(note)") }
            for trouble in Set(devices.filter { $0.trouble != nil }.map { "\($0.account) is offline itself: \($0.clause)" }).sorted() {
                console.note("! \(trouble); see: qimesh status")
            }
            for device in devices {
                if let note = device.note { console.note("! \(device.name.isEmpty ? device.jid : device.name): \(note)") }
            }
        }
    }

    static func table(_ devices: [DeviceRow], now: Double) -> Table {
        var table = Table(["DEVICE", "STATE", "MODEL", "SERVICES", "PATH", "RTT", "LAST SEEN", "JID"])
        for device in devices {
            table.add([
                .init(device.name), .init(device.state, Tint(state: device.state)), .init(device.model ?? ""),
                .init(device.services.map { "\($0)" } ?? ""), .init(device.path ?? ""),
                .init(device.state == "online" ? device.rtt.map(TimeText.milliseconds) ?? "" : ""),
                .init(device.state == "online" ? "now" : device.lastSeen.map { TimeText.ago(now - $0) } ?? ""), .init(device.jid),
            ])
        }
        return table
    }

    /// `4 devices: 3 online, 1 offline`.
    static func summary(_ devices: [DeviceRow]) -> String {
        var counts: [(state: String, count: Int)] = []
        for device in devices {
            if let index = counts.firstIndex(where: { $0.state == device.state }) {
                counts[index].count += 1
            } else {
                counts.append((device.state, 1))
            }
        }
        let parts = counts.map { "\($0.count) \(Printable.line($0.state))" }.joined(separator: ", ")
        return "\(devices.count) device\(devices.count == 1 ? "" : "s"): \(parts)"
    }
}
