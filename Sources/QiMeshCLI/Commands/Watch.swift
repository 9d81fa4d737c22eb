import ArgumentParser
import Foundation
import QiWire

/// `qimesh watch`: prints events.
struct Watch: WaitingVerb {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Print the events of signals and the changes of properties.")

    @Argument(help: "[DEVICE/]Service.signal, where the signal may hold * and ?.")
    var targets: [String]

    @Option(help: "End after so many events.")
    var count: Int?

    @Option(name: .customLong("for"), help: "End after this time.")
    var time: TimeSpan?

    @Flag(help: "Only the latest counts: skip what comes faster than the path or the reader takes it. How many is told.")
    var latest = false

    @OptionGroup var device: DeviceOptions
    @OptionGroup var wait: WaitOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func validate() throws {
        guard !targets.isEmpty else { throw ValidationError("name at least one signal, as Service.signal") }
        if let count, count < 1 { throw ValidationError("--count has to be at least 1") }
    }

    func perform(_ console: Console) async throws(CommandFailure) {
        var parsed: [(Target, Target.Reading)] = []
        for text in targets {
            let target = try Target(text, device: device.name(environment))
            parsed.append((target, try target.requireMember("signal")))
        }
        // One directory at a time: events of two would need two sessions, and nobody has asked for that yet.
        let directories = Set(parsed.map { target, _ in if case .directory(let url) = target.device { url } else { "" } })
        guard directories.count == 1 else { throw .usage("all targets of a watch have to be reached through one directory") }
        try await withSession(console, waitingFor: parsed[0].0.device) { [parsed] (session) async throws(CommandFailure) in
            var sources: [WatchedSignal] = []
            for (target, reading) in parsed {
                if let limit = wait.waitOnline, target.device != parsed[0].0.device {
                    try await session.waitOnline(target.device, atMost: limit.duration)
                }
                let found = try await session.find(target, readings: [reading])
                // Patterns may overlap; an event is printed once.
                let known = Set(sources.map(\.label))
                sources += try await session.subscribe(
                    to: found, reading.member ?? "", except: known, device: target.device, latest: latest)
            }
            console.detail("watching \(sources.map(\.label).joined(separator: ", "))")
            try await SignalWatch(session: session, sources: sources, count: count, time: time?.duration, latest: latest).run()
        }
    }
}
