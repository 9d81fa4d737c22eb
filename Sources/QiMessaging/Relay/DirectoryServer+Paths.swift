import NIOCore

/// The path to a device, and those that are not used.
public struct DevicePathStatus: Sendable {
    /// A kind of path that is not in use.
    public struct Candidate: Sendable {
        public let kind: PathKind
        /// Why it is not used; nil: it was not tried yet.
        public let reason: String?
        /// How long until it is tried again by itself; nil: at once, or when something changes.
        public let pause: Duration?
    }

    /// Its bare JID.
    public let device: String
    /// The kind in use; nil while there is none.
    public let path: PathKind?
    /// Whether it can change its path; a node of before has one tunnel, which cannot.
    public let isStream: Bool
    /// There and back, as measured; nil: no answer came, or it was not measured.
    public let roundTrip: Duration?
    /// Bytes per second, the most of two seconds of the last minute.
    public let up: Double
    public let down: Double
    /// How often the stream has changed its path.
    public let changes: Int
    /// Best first.
    public let candidates: [Candidate]
}

extension DirectoryServer {
    /// The path to a device, measured; a stream is opened if there is none.
    ///
    /// - Parameters:
    ///   - kind: keeps the stream on this kind of path from now on, and waits for it; nil: leaves that as it is.
    ///   - patience: how long to wait for the path and for the answer that measures it.
    /// - Throws: `.offline`, `.denied`, `.timedOut` as any use of the device.
    public func path(
        to device: String, only kind: PathKind? = nil, within patience: Duration = .seconds(5)
    ) async throws(QiError) -> DevicePathStatus {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            let link = try directory.value.requireGateway().link(named: device)
            _ = try await link.list()
            let end = NIODeadline.now() + TimeAmount(patience)
            if let kind { try await link.keep(to: kind, until: end) }
            return await link.measured(until: end)
        }
    }

    /// Keeps the stream to a device on one kind of path for a command, whatever ``path(to:only:within:)`` says of it: until the connection
    /// ends by which the command asks, or it asks for another kind. A stream is opened if there is none.
    ///
    /// - Parameters:
    ///   - command: a call of the command's.
    ///   - patience: how long to wait for the path.
    /// - Returns: the path now. Of another kind when the one that is wanted cannot be had: then the stream is not kept on it.
    /// - Throws: `.unsupported` for a kind that is off, or that the device does not know; `.limit` when another command keeps the stream on
    ///   another kind, and when 64 commands do so already; else as ``path(to:only:within:)``.
    public func holdPath(
        to device: String, on kind: PathKind, for command: CallContext, within patience: Duration
    ) async throws(QiError) -> DevicePathStatus {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            let link = try directory.value.requireGateway().link(named: device)
            let end = NIODeadline.now() + TimeAmount(patience)
            _ = try await link.list(within: TimeAmount(patience))
            guard let ladder = try link.ladder(with: kind) else { return link.pathStatus() }
            try link.hold(on: kind, for: command)
            await ladder.settled(on: kind, until: end)
            let status = link.pathStatus()
            if status.path != kind { link.endHold(of: command.holder) }
            return status
        }
    }

    /// The path to a device as it is: nothing is opened, and nothing is measured.
    ///
    /// - Throws: as ``DevicePaths/device(named:)``.
    public func currentPath(to device: String) async throws(QiError) -> DevicePathStatus {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            try directory.value.requireGateway().link(named: device).pathStatus()
        }
    }

    /// How long ago something last came over streams, ours and those that devices opened, by the full address of the program at the other
    /// end: a sign of life that the device's key vouches for. Only of streams that have a path.
    ///
    /// - Parameter silence: on a wide path that was silent for so long the other end is asked whether it is there, and what comes of that
    ///   is known later; nil: none is asked. A path on which no answer comes within 15 s is lost.
    /// - Throws: `.disconnected` when this directory has ended.
    public func silences(askingAfter silence: Duration? = nil) async throws(QiError) -> [String: Duration] {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            if let silence {
                let ladders = directory.value.gateway?.links.values.compactMap(\.ladder) ?? []
                for stream in ladders.map(\.stream) + directory.value.streams.streams { stream.ask(after: TimeAmount(silence)) }
            }
            let now = NIODeadline.now()
            let ours = directory.value.gateway?.links.values.compactMap { $0.ladder?.lastHeard } ?? []
            let heard = (ours + directory.value.streams.lastHeard).map { ($0.program, Duration(now - $0.at)) }
            return Dictionary(heard) { min($0, $1) }
        }
    }

    /// Lets the stream to a device choose its path by itself again.
    public func freePath(to device: String) async throws(QiError) {
        let directory = self.directory
        try await loop.run { (_) async throws(QiError) in try directory.value.requireGateway().link(named: device).keep(to: nil) }
    }
}

extension DeviceLink {
    /// Keeps the stream on one kind of path, and returns when it is there, or cannot be.
    ///
    /// - Throws: as ``ladder(with:)``.
    nonisolated(nonsending) func keep(to kind: PathKind, until end: NIODeadline) async throws(QiError) {
        guard let ladder = try ladder(with: kind) else { return }
        keep(to: kind)
        await ladder.settled(on: kind, until: end)
    }

    /// What can keep the stream on a kind of path; nil for a device that is reached by that kind and no other.
    ///
    /// - Throws: `.unsupported` for a kind that is not there for this device.
    func ladder(with kind: PathKind) throws(QiError) -> PathLadder? {
        guard let ladder else {
            if connection?.origin.path == kind { return nil }
            throw QiError(.unsupported, "\(device) is a node of before, which is reached \(PathKind.inBand) only")
        }
        guard ladder.machine.rungs.contains(where: { $0.kind == kind }) else {
            throw QiError(
                .unsupported, "the path \(kind) is off: paths.order has \(ladder.machine.rungs.map(\.kind.name).joined(separator: ", "))")
        }
        return ladder
    }

    /// What the path is like now, measured.
    nonisolated(nonsending) func measured(until end: NIODeadline) async -> DevicePathStatus {
        var roundTrip: TimeAmount?
        if let ladder {
            roundTrip = await ladder.stream.measured(until: end)
        } else {
            let begin = NIODeadline.now()
            if (try? await list()) != nil { roundTrip = .now() - begin }
        }
        return pathStatus(roundTrip: .some(roundTrip))
    }

    /// What the path is like now.
    ///
    /// - Parameter roundTrip: as just measured; left out: as it was measured last on this path.
    func pathStatus(roundTrip: TimeAmount?? = nil) -> DevicePathStatus {
        guard let ladder else {
            return DevicePathStatus(
                device: device, path: connection?.origin.path, isStream: false, roundTrip: (roundTrip ?? nil).map(Duration.init), up: 0,
                down: 0, changes: 0, candidates: [])
        }
        let (up, down) = ladder.stream.rates
        let now = NIODeadline.now()
        return DevicePathStatus(
            device: device, path: ladder.stream.path?.kind, isStream: true,
            roundTrip: (roundTrip ?? ladder.stream.machine.roundTrip).map(Duration.init), up: up, down: down,
            changes: ladder.stream.resumptions,
            candidates: ladder.machine.rungs.filter { $0.kind != ladder.stream.path?.kind }.map { rung in
                DevicePathStatus.Candidate(
                    kind: rung.kind, reason: rung.reason, pause: rung.pause(at: now).map(Duration.init))
            })
    }
}
