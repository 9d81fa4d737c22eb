public import NIOCore
public import QiWire

/// What a device on the other side of a tunnel may do here, and what we may do there.
extension DirectoryServer {
    /// Makes the devices that `paths` reaches usable as `DEVICE/Service`.
    ///
    /// - Parameters:
    ///   - pathLoss: how soon after a path died the calls on it end that has no stream above it.
    ///   - resume: how long a stream lives without a path.
    ///   - callsInFlight: how many calls of one device to objects that it was passed may be in work; nil: as many as of a client.
    ///   - returnTime: how long the services that a device hosts here are kept for it, when its stream has ended without a path.
    public func connectDevices(
        through paths: any DevicePaths, pathLoss: Duration = .seconds(30), resume: Duration = .seconds(120), callsInFlight: Int? = nil,
        returnTime: Duration = .seconds(60)
    ) async throws(QiError) {
        let directory = self.directory
        try await loop.run { (bus) async throws(QiError) in
            let gateway = DeviceGateway(
                bus: bus, directory: directory.value, paths: paths, limits: directory.value.limits.forDevice(callsInFlight: callsInFlight),
                streams: directory.value.limits.stream(resume: TimeAmount(resume)), pathLoss: TimeAmount(pathLoss))
            directory.value.setGateway(gateway)
            directory.value.streams.limits.resume = TimeAmount(resume)
            directory.value.returnTime = TimeAmount(returnTime)
        }
    }

    /// Serves qi to a device on an accepted, encrypted bytestream: it may do what the policy says; without one look up, list, call, post
    /// to, subscribe to and read or write properties of local services, nothing else. On the channel's loop, which is this directory's.
    ///
    /// - Parameter path: the way it came by.
    /// - Parameter key: the key the device has shown, known once `judge` has agreed.
    /// - Parameter judge: examines what the device says of itself and whom it means, and adds what we say; throwing refuses it.
    public func accept(
        _ channel: any Channel, from device: String, by path: PathKind = .inBand, callsInFlight: Int,
        key: @escaping @Sendable () -> String? = { nil },
        judge: @escaping @Sendable (Capabilities) throws(QiError) -> Capabilities
    ) throws {
        try Self.serve(
            channel, device, path, directory.value, loop.bus, callsInFlight: callsInFlight, key: key, judge: judge)
    }

    /// Takes a path of a stream that a device opens: an encrypted channel on which its key was proven. The first one begins the stream, and
    /// qi is served on it as by ``accept(_:from:by:callsInFlight:key:judge:)``; on later ones it goes on. On the channel's loop, which is
    /// this directory's.
    ///
    /// - Parameters:
    ///   - program: the full address of the program there that opens it.
    ///   - path: what kind it is.
    ///   - width: what it lets through.
    ///   - key: the key that the path's TLS has proven, known when the first bytes come; nil: none, and the path is refused.
    ///   - judge: as there, for the first path.
    public func acceptPath(
        _ channel: any Channel, from device: String, program: String, by path: PathKind, width: @escaping @Sendable () -> PathWidth = { .wide },
        callsInFlight: Int,
        key: @escaping @Sendable () -> String?,
        judge: @escaping @Sendable (Capabilities) throws(QiError) -> Capabilities
    ) throws {
        let (directory, bus) = (directory.value, loop.bus)
        let side = directory.streams.side(
            of: { StreamPath($0, path, width: width) }, from: device, program: program, key: key
        ) { [self] stream in
            if isStopping { throw QiError(.offline, "this node is stopping") }
            try Self.serve(stream, device, path, directory, bus, callsInFlight: callsInFlight, key: key, judge: judge)
        }
        try channel.pipeline.syncOperations.addHandler(StreamPathHandler(side))
    }

    /// Whether a device has a stream open here, which may go on over another path. On this directory's loop.
    public func hasStream(of device: String) -> Bool { !directory.value.streams.streams(of: device).isEmpty }

    private static func serve(
        _ channel: any Channel, _ device: String, _ path: PathKind, _ directory: ServiceDirectory, _ bus: Bus, callsInFlight: Int,
        key: @escaping @Sendable () -> String?, judge: @escaping @Sendable (Capabilities) throws(QiError) -> Capabilities
    ) throws {
        let connection = try QiPipeline.install(
            on: channel, bus: bus, role: .server, origin: .device(name: device, by: path), owner: directory,
            limits: directory.limits.forDevice(callsInFlight: callsInFlight)
        ) { connection, said in
            let answer = try judge(said)
            connection.fingerprint = key()
            return answer
        }
        directory.deviceConnected(connection)
    }

    /// The services of a device, through its tunnel, which is opened within 30 s if there is none.
    ///
    /// - Parameter limit: how long the device may take to answer.
    public func services(of device: String, within limit: Duration = .seconds(10)) async throws(QiError) -> [ServiceInfo] {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            try await directory.value.requireGateway().link(named: device).list(within: TimeAmount(limit))
        }
    }

    /// A service of a device, through its tunnel, for this process. It is in use, and comes back after a loss, as long as the proxy
    /// lives.
    public func service(_ service: String, of device: String) async throws(QiError) -> ObjectProxy {
        let directory = self.directory
        let loop = self.loop
        return try await loop.run { (_) async throws(QiError) in
            let link = try directory.value.requireGateway().link(named: device)
            let object = try await link.object(of: service)
            let use = NIOLoopBound((link: link, object: object), eventLoop: loop.eventLoop)
            return ObjectProxy(loop: loop, object: object) {
                // Whoever asked for it may be about to look it up by name.
                loop.eventLoop.scheduleTask(in: .seconds(5)) { use.value.link.objectReleased(use.value.object) }
            }
        }
    }

    /// Ends what runs between a device and us, in both directions, at once.
    public func dropDevice(_ device: String, _ error: QiError) {
        let directory = self.directory
        loop.submit { _ in directory.value.dropDevice(device, error) }
    }

    /// Asks a device for a tunnel again that refused one a moment ago: it has announced a change, or came back.
    public func deviceChanged(_ device: String) {
        let directory = self.directory
        loop.submit { _ in directory.value.gateway?.forgetRefusal(by: device) }
    }

    /// How the tunnels we opened stand, and which devices have opened one to us with how many calls in flight.
    public func deviceLinks() async throws(QiError) -> (outgoing: [DeviceLinkStatus], incoming: [(device: String, calls: Int)]) {
        let directory = self.directory
        let result = try await loop.run { (_) async throws(QiError) -> DeviceLinks in
            DeviceLinks(
                outgoing: directory.value.gateway?.links.values.map(\.status) ?? [],
                incoming: directory.value.deviceConnections.map { ($0.origin.device ?? "", $0.incomingCalls) })
        }
        return (result.outgoing, result.incoming)
    }

    /// The way between us and each device that has a tunnel open, by its bare JID: that of the tunnel we opened, before that of its own.
    public func pathsOfDevices() async throws(QiError) -> [String: PathKind] {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            let ours = directory.value.gateway?.links.values.compactMap(\.connection) ?? []
            let origins = (ours + directory.value.deviceConnections).map(\.origin)
            return Dictionary(origins.compactMap { origin in origin.device.map { ($0, origin.path) } }) { first, _ in first }
        }
    }

    private struct DeviceLinks: Sendable {
        let outgoing: [DeviceLinkStatus]
        let incoming: [(device: String, calls: Int)]
    }

    /// A directory of its own at `endpoint` that presents the services of `device` under their plain names. Ends with
    /// ``DeviceTunnel/close()``.
    ///
    /// - Parameters:
    ///   - users: which users of this machine may use it by TCP: each of them is this device to the other one; nil: all.
    ///   - hosting: what is registered here is registered with the device, if that lets us, and this hears what becomes of it, on the loop;
    ///     nil: nothing can be registered here.
    public func openTunnel(
        to device: String, at endpoint: Endpoint, users: LocalUsers? = .own, hosting: (@Sendable (HostingEvent) -> Void)? = nil
    ) async throws(QiError) -> DeviceTunnel {
        let tunnel = try await makeTunnel(to: device, hosting: hosting)
        do throws(QiError) {
            try await tunnel.listen(at: endpoint, users: users)
            return tunnel
        } catch {
            await tunnel.close()
            throw error
        }
    }

    /// The same, which does not listen.
    func makeTunnel(to device: String, hosting: (@Sendable (HostingEvent) -> Void)?) async throws(QiError) -> DeviceTunnel {
        let reason = "this directory is a tunnel to \(device): services cannot be registered through it; open it with --register"
        let presented = try await DirectoryServer.make(on: loop, machineID: machineID, readOnlyReason: hosting == nil ? reason : nil)
        let (own, directory) = (self.directory, presented.directory)
        let (mirror, path) = try await loop.run { (bus) async throws(QiError) in
            let link = try own.value.requireGateway().link(named: device)
            // Whoever asks for a tunnel wants to know now whether it works.
            _ = try await link.list()
            let path = link.connection?.origin.path ?? .inBand
            let mirror = MirroredDevice(bus: bus, link: link, directory: directory.value)
            directory.value.setResolver(mirror)
            if let hosting {
                directory.value.hosting = HostedServices(bus: bus, link: link, directory: directory.value, report: hosting)
            }
            return (NIOLoopBound(mirror, eventLoop: bus.eventLoop), path)
        }
        return DeviceTunnel(server: presented, mirror: mirror, path: path)
    }
}
