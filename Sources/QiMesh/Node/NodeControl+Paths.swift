import QiMessaging

/// Which way calls to a device take.
extension NodeControl {
    func path(of device: String, use: String) async -> Answer<DevicePathRow> {
        await Answer {
            try gateways.requireOneMeaning(of: device, code: .invalid)
            if use == "auto" { try await server.freePath(to: device) }
            let kind = try use.isEmpty || use == "auto" ? nil : Self.kind(use)
            let status = try await server.path(to: device, only: kind, within: .seconds(kind == nil ? 5 : 25))
            return Self.row(status)
        }
    }

    func holdPath(to device: String, on kind: String) async -> Answer<DevicePathRow> {
        await Answer {
            try gateways.requireOneMeaning(of: device, code: .invalid)
            let kind = try Self.kind(kind)
            let asker = try caller()
            return Self.row(try await server.holdPath(to: device, on: kind, for: asker, within: .seconds(25)))
        }
    }

    func currentPath(to device: String) async -> Answer<DevicePathRow> {
        await Answer {
            try gateways.requireOneMeaning(of: device, code: .invalid)
            return Self.row(try await server.currentPath(to: device))
        }
    }

    private static func row(_ status: DevicePathStatus) -> DevicePathRow {
        DevicePathRow(
            jid: status.device, path: status.path?.name, rtt: status.roundTrip.map { $0 / .milliseconds(1) }, up: status.up,
            down: status.down, changes: status.changes, stream: status.isStream,
            candidates: status.candidates.map { candidate in
                PathCandidateRow(path: candidate.kind.name, reason: candidate.reason, again: candidate.pause.map { $0 / .seconds(1) })
            }, advice: advice(status))
    }

    private static func kind(_ name: String) throws(QiError) -> PathKind {
        guard let kind = MeshConfiguration.Paths.Kind(rawValue: name) else {
            throw QiError(.invalid, "\"\(name)\" is no path", hint: "use direct, proxy or in-band")
        }
        return kind.path
    }

    /// What its owner could do about it.
    private static func advice(_ status: DevicePathStatus) -> [String] {
        guard status.path == .inBand else { return [] }
        guard status.isStream else { return ["the device runs a version of QiMesh without streams: update it"] }
        var advice: [String] = []
        if status.candidates.contains(where: { $0.kind == .direct && $0.reason != nil }) {
            advice.append("put both devices on one network, or let one accept TCP connections from the other, for a direct path")
        }
        if status.candidates.contains(where: { $0.kind == .proxy && $0.reason != nil }) {
            advice.append("ask the owner of the XMPP server for a SOCKS5 proxy (Prosody: proxy65, ejabberd: mod_proxy65)")
        }
        return advice
    }
}
