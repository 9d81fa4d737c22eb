import QiMessaging

/// Whether devices are alive, asked by a person or watched.
extension NodeControl {
    func ping(_ device: String, milliseconds: Int) async -> Answer<PingAnswer> {
        await Answer {
            guard (1...600_000).contains(milliseconds) else {
                throw QiError(.invalid, "a ping may take 1 ms to 10 min", hint: "--timeout 5s")
            }
            try gateways.requireOneMeaning(of: device, code: .invalid)
            let pinged = try await AccountPaths(accounts).ping(device, within: .milliseconds(milliseconds))
            return PingAnswer(jid: "\(pinged.connection)", rtt: pinged.roundTrip / .milliseconds(1), path: "xmpp")
        }
    }

    func watchDevices(since version: String?, seconds: Int) async -> Answer<DeviceListing> {
        await Answer {
            guard (0...60).contains(seconds) else { throw QiError(.invalid, "a look may take up to 60 s") }
            if let version {
                let begin = ContinuousClock.now
                await unchanged(version, for: .seconds(seconds))
                // A device that comes and goes must not have all others asked all the time. Ends early by the cancellation only.
                try? await Task.sleep(until: begin + .seconds(min(seconds, 1)), clock: .continuous)
            }
            // Before the rows: what changes meanwhile is told next time.
            let version = devicesVersion
            return DeviceListing(version: version, devices: try await rows())
        }
    }

    /// Changes with everything that is known of a device, but for round trips and times.
    private var devicesVersion: String { gateways.map { "\($0.own) \($0.peers.observers.version)" }.joined(separator: ";") }

    /// Watches the devices until something about them is other than at that version, or the time is up.
    private func unchanged(_ version: String, for limit: Duration) async {
        await Race.within(limit) { [self] in
            await withTaskGroup { group in
                for observers in gateways.map(\.peers.observers) {
                    group.addTask { [self] in
                        for await _ in observers.changes(watches: true) where devicesVersion != version { return true }
                        return false
                    }
                }
                // One that ended, with its account, has nothing to tell.
                for await isNews in group where isNews { break }
                group.cancelAll()
            }
        }
    }
}
