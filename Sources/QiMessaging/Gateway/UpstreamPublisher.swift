import Glibc
import Logging
import NIOCore
import QiWire

/// Registers services of this directory with the one beside it, so that a robot's own modules find them there. They are reached at a
/// listener that answers for what is registered there and for nothing else. Confined to the bus loop.
///
/// A registration lives as long as the connection to that directory, and is made anew on the next one.
final class UpstreamPublisher: ConnectionOwner, UpstreamRegistering {
    /// A service as it stands there.
    private final class Publication {
        let name: String
        /// The id it has here.
        let localID: UInt32
        /// The id it has there; nil before it was given one.
        var id: UInt32?
        /// Why it is not registered there; nil once it is, and before that is known.
        var trouble: QiError?

        init(name: String, localID: UInt32) {
            self.name = name
            self.localID = localID
        }
    }

    private let bus: Bus
    private weak var directory: ServiceDirectory?
    private let upstream: DirectoryFollower
    private let isMeant: (DirectoryTable.Entry) -> Bool
    private let gate: NIOLoopBound<ListenerGate>?
    private let loop: BusLoop
    private let sessionID = MachineID.uuid()
    private var publications: [String: Publication] = [:]
    private var names: [UInt32: String] = [:]
    /// Ids there of what is being taken away: that directory may still tell of them.
    private var retiring: Set<UInt32> = []
    private var connections: [ObjectIdentifier: Connection] = [:]
    private var listener: (host: String, value: Listener)?
    private var endReason: QiError?
    private var willCompare = false

    /// How long that directory has for one answer.
    private static let time = TimeAmount.seconds(10)

    /// - Parameters:
    ///   - isMeant: which services are to be found there.
    ///   - gate: who is let in at the listener; nil: every peer that reaches it.
    init(
        loop: BusLoop, directory: ServiceDirectory, upstream: DirectoryFollower, gate: NIOLoopBound<ListenerGate>?,
        isMeant: @escaping (DirectoryTable.Entry) -> Bool
    ) {
        bus = loop.bus
        self.loop = loop
        self.directory = directory
        self.upstream = upstream
        self.gate = gate
        self.isMeant = isMeant
    }

    /// Whether a service there is one of ours.
    func hasID(_ id: UInt32) -> Bool { names[id] != nil || retiring.contains(id) }

    /// What is registered there, and what is not, with the reason.
    var standing: (published: [String], refused: [String: QiError]) {
        let refused = publications.values.compactMap { publication in publication.trouble.map { (publication.name, $0) } }
        return (names.values.sorted(), Dictionary(uniqueKeysWithValues: refused))
    }

    // MARK: - Following both directories

    /// A directory that forwards has services of ours called on the connection that registered them.
    func joined(on connection: Connection) {
        enforcePolicy(on: connection)
        compare()
    }

    /// A service has other members than before: for those who use it there it is another one.
    func renewed(_ name: String) {
        guard let publication = publications[name] else { return }
        withdraw(publication)
        changed()
    }

    /// What was registered on the connection is gone with it.
    func left() {
        for id in names.keys { unbind(id) }
        publications = [:]
        names = [:]
        retiring = []
    }

    func end(_ error: QiError) {
        endReason = error
        left()
        listener?.value.stop()
        for connection in connections.values { connection.close(.stopped(error)) }
    }

    /// Something came or went here. What changes together is looked at once.
    func changed() {
        guard !willCompare, !bus.isShutDown else { return }
        willCompare = true
        bus.enqueue { [self] in
            willCompare = false
            compare()
        }
    }

    /// Registers what is meant and not registered, and takes away what is not meant any more.
    private func compare() {
        guard endReason == nil, !bus.isShutDown, let connection = upstream.connection, let directory else { return }
        // One that its device is taking up again stays there meanwhile.
        let meant = directory.table.entries.values.filter { ($0.isReady || $0.isKept) && $0.owner != .upstream && isMeant($0) }
        let wanted = Dictionary(meant.map { ($0.info.name, $0.info.serviceID) }) { first, _ in first }
        for (name, publication) in publications where wanted[name] != publication.localID { withdraw(publication) }
        for entry in meant where publications[entry.info.name] == nil {
            let publication = Publication(name: entry.info.name, localID: entry.info.serviceID)
            publications[publication.name] = publication
            bus.enqueue { [self] in await publish(publication, on: connection) }
        }
    }

    private func withdraw(_ publication: Publication) {
        publications[publication.name] = nil
        guard let id = publication.id else { return }
        unbind(id)
        names[id] = nil
        bus.enqueue { [self] in await unregister(id, publication.name) }
    }

    private func unbind(_ id: UInt32) {
        for connection in connections.values { connection.unbind(service: id) }
        upstream.connection?.unbind(service: id)
    }

    private nonisolated(nonsending) func unregister(_ id: UInt32, _ name: String) async {
        guard let there = upstream.directory, let connection = there.connection else { return }
        retiring.insert(id)
        defer { if upstream.connection === connection { retiring.remove(id) } }
        do throws(QiError) {
            _ = try await there.value(of: WellKnownActions.unregisterService, [.uint32(id)], deadline: .now() + Self.time)
        } catch {
            bus.logger.debug(
                "a directory was not told that a service is gone",
                metadata: [LogKeys.peer: "\(upstream.name)", LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
        }
    }

    // MARK: - Registering

    /// Tries until it is registered, or not meant any more. A name that is taken there may become free.
    private nonisolated(nonsending) func publish(_ publication: Publication, on connection: Connection) async {
        var backoff = Backoff(first: .milliseconds(250), most: .seconds(10))
        while isWanted(publication, on: connection) {
            do throws(QiError) {
                return try await register(publication, on: connection)
            } catch {
                if publication.trouble == nil, isWanted(publication, on: connection) {
                    bus.logger.warning(
                        "a service is not registered with the directory beside this one, and is tried again",
                        metadata: [
                            LogKeys.service: "\(publication.name)", LogKeys.peer: "\(upstream.name)",
                            LogKeys.error: "\(error.message)",
                        ])
                }
                publication.trouble = error
                await bus.pause(backoff.next(after: error))
            }
        }
    }

    private func isWanted(_ publication: Publication, on connection: Connection) -> Bool {
        publications[publication.name] === publication && upstream.connection === connection && !bus.isShutDown
    }

    private nonisolated(nonsending) func register(_ publication: Publication, on connection: Connection) async throws(QiError) {
        let endpoints = try await endpoints(towards: connection)
        guard let there = upstream.directory, there.connection === connection else { throw QiError(.offline, "\(upstream.name) is away") }
        guard let entry = directory?.table.entries[publication.localID] else { return }
        let info = ServiceInfo(
            name: publication.name, machineID: machineID, processID: UInt32(bitPattern: getpid()), endpoints: endpoints,
            sessionID: sessionID, objectUID: entry.info.objectUID)
        let value = try await there.value(
            of: WellKnownActions.registerService, [Self.argument(info, of: there)], deadline: .now() + Self.time
        ) { [weak self] payload, flags in
            // Given up, and registered all the same.
            guard let self, let id = try? payload.value(of: .uint32, flags: flags).asUInt32, upstream.connection === connection else { return }
            bus.enqueue { await self.unregister(id, publication.name) }
        }
        guard let id = value.asUInt32, id > 1 else { throw QiError(.invalid, "\(upstream.name) gave \"\(publication.name)\" no id") }
        guard isWanted(publication, on: connection) else { return await unregister(id, publication.name) }
        publication.id = id
        names[id] = publication.name
        do throws(QiError) {
            _ = try await there.value(of: WellKnownActions.serviceReady, [.uint32(id)], deadline: .now() + Self.time)
            publication.trouble = nil
        } catch {
            if publication.id == id, isWanted(publication, on: connection) {
                publication.id = nil
                names[id] = nil
                await unregister(id, publication.name)
            }
            throw error
        }
    }

    /// In the form that the directory takes: before objects had uids there was none.
    private static func argument(_ info: ServiceInfo, of there: RemoteObject) -> QiValue {
        let taken = there.members.method(WellKnownActions.registerService)?.parameters.type.tupleMembers?.first?.tupleMembers?.count
        return taken == ServiceInfo.olderSignature.type.tupleMembers?.count ? info.olderQiValue : info.qiValue
    }

    /// Programs on the machine of that directory take loopback addresses only from those who go by the machine's id as libqi has it.
    private var machineID: String {
        upstream.endpoint.isLoopback ? upstream.remote.machineID : directory?.machineID ?? upstream.remote.machineID
    }

    /// Where those who find a service there reach us: at the address from which we reach that directory. Where the way there is
    /// encrypted nothing else is opened beside it, and the directory has to forward, as gateways do.
    private nonisolated(nonsending) func endpoints(towards connection: Connection) async throws(QiError) -> [String] {
        if case .tls = upstream.endpoint.kind, !upstream.endpoint.isLoopback { return [] }
        guard let host = connection.channel.localAddress?.plainHost else { return [] }
        if let listener, listener.host == host { return [listener.value.endpoint.text] }
        listener?.value.stop()
        listener = nil
        guard let wanted = Endpoint("tcp://\(host.contains(":") ? "[\(host)]" : host):0"), let limits = directory?.limits else { return [] }
        let opened = try await Listener.open(
            at: wanted, on: loop, transports: TransportSet(), owner: NIOLoopBound(self, eventLoop: bus.eventLoop), limits: limits,
            zone: .internal, gate: gate)
        if let known = listener, known.host == host {
            opened.stop()
            return [known.value.endpoint.text]
        }
        if let endReason {
            opened.stop()
            throw endReason
        }
        listener = (host, opened)
        bus.logger.notice(
            "what is registered here is reached there at an address of its own",
            metadata: [LogKeys.peer: "\(upstream.name)", LogKeys.endpoint: "\(opened.endpoint)"])
        return [opened.endpoint.text]
    }

    // MARK: - ConnectionOwner

    func opened(_ connection: Connection) {
        connections[ObjectIdentifier(connection)] = connection
        enforcePolicy(on: connection)
        if let endReason { connection.close(.stopped(endReason)) }
    }

    private func enforcePolicy(on connection: Connection) {
        if let control = directory?.accessControl { connection.enforce(control) }
    }

    /// Those who are connected may do from now on what the policy now says.
    func policyChanged() {
        for connection in Array(connections.values) + (upstream.connection.map { [$0] } ?? []) {
            enforcePolicy(on: connection)
            if !connection.isClosed { connection.endForbiddenSubscriptions() }
        }
    }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        connections[ObjectIdentifier(connection)] = nil
        released(connection)
    }

    /// The services of this process are told of no other owner's connections.
    func released(_ connection: Connection) {
        for object in directory?.locals.values.map({ $0 }) ?? [] { object.closed(connection) }
    }

    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        guard address.object == 1, let directory, let name = names[address.service], let id = publications[name]?.localID else {
            return nil
        }
        if let local = directory.locals[id] { return local }
        return directory.table.entries[id].map { directory.forwarder(to: $0, at: address, on: connection) }
    }

    func serviceName(of id: UInt32, on connection: Connection) -> String? { names[id] }
}
