import Logging
import NIOCore
import QiWire

/// A service that several devices offer, as others reach it through us: one object for all connections, each of which stays with one
/// instance (``GroupSeat``). Confined to the bus loop.
///
/// The first instance that is found gives the interface; a device whose service has another one is no instance. When none is left with that
/// interface and one with another is there, the service ends, and its users look it up anew.
final class GroupService: ObjectReceiver {
    typealias Seeker = (Result<GroupService, QiError>) -> Void

    let bus: Bus
    /// What it is looked up as: `vision/Detector`.
    let name: String
    private let service: String
    private weak var host: (any GroupHost)?
    private var group: DeviceGroup
    private(set) var instances: [String: GroupInstance] = [:]
    private var seats: [UInt64: GroupSeat] = [:]
    private(set) var members: MemberTable?
    private var idempotent: IdempotentMethods?
    private var seekers: [Seeker] = []
    /// Until when instances that have not answered are waited for, once one has.
    private var settleBy: NIODeadline?
    private var giveUpAt: NIODeadline?
    private var refreshAt = NIODeadline.now()
    /// Since when its interface is nowhere, and another one is.
    private var strangeSince: NIODeadline?
    private(set) var isEnded = false
    let uid = ObjectUID.random()

    /// Between two looks at the instances.
    private static let look = TimeAmount.milliseconds(250)
    /// Between two looks at who belongs to the group.
    private static let refresh = TimeAmount.seconds(2)
    /// How long other instances are waited for before the first look-up is answered, so that the first proxies have a choice.
    private static let settling = TimeAmount.seconds(1)
    /// How long an instance with the interface of before may take to come back, when there is one with another.
    private static let strangeness = TimeAmount.seconds(5)
    /// How long a look-up may take.
    private static let lookUpTime = TimeAmount.seconds(25)

    init(_ service: String, of group: DeviceGroup, as name: String, on bus: Bus, host: any GroupHost) {
        self.bus = bus
        self.name = name
        self.service = service
        self.group = group
        self.host = host
    }

    /// Looks at its instances until it ends.
    func begin() {
        bus.enqueue { [self] in
            while !isEnded, !bus.isShutDown {
                review()
                await bus.pause(Self.look)
            }
        }
    }

    // MARK: - Being looked up

    /// Finds instances. `completion` runs exactly once.
    func seek(_ completion: @escaping Seeker) {
        guard !isEnded, !bus.isShutDown else { return completion(.failure(QiError(.disconnected, "this node is stopping"))) }
        if giveUpAt == nil { giveUpAt = .now() + Self.lookUpTime }
        seekers.append(completion)
        review()
    }

    var hasSeekers: Bool { !seekers.isEmpty }

    private func settle(at now: NIODeadline) {
        guard !seekers.isEmpty else { return }
        let isAsking = instances.values.contains(where: \.isAsked)
        if instances.values.contains(where: { $0.usable != nil }) {
            let end = settleBy ?? now + Self.settling
            settleBy = end
            guard !isAsking || end <= now else { return }
            answer(.success(self))
        } else if !isAsking || giveUpAt.map({ $0 <= now }) ?? false {
            answer(.failure(unavailable))
        }
    }

    private func answer(_ result: Result<GroupService, QiError>) {
        let answered = seekers
        seekers = []
        giveUpAt = nil
        for seeker in answered { seeker(result) }
        host?.endIfUnused(groupService: name)
    }

    /// Why no instance can be used.
    var unavailable: QiError {
        if instances.isEmpty {
            return QiError(
                .notFound, "the group \(group.name) has no device: no contact fits what the configuration says of it",
                hint: "qimesh devices")
        }
        let sorted = instances.values.sorted { ($0.member.name, $0.address) < ($1.member.name, $1.address) }
        // So many fit in a line.
        let shown = sorted.prefix(4).map { "\($0.member.name): \($0.trouble ?? $0.word)" }.joined(separator: "; ")
        let reasons = shown + (sorted.count > 4 ? "; and \(sorted.count - 4) more" : "")
        guard sorted.contains(where: { $0.member.isThere || $0.link.isLive }) else {
            return QiError(.offline, "no device of the group \(group.name) is online (\(reasons))", hint: "qimesh devices")
        }
        let isLacking = sorted.allSatisfy { if case .lacks = $0.state { true } else { !$0.member.isThere && !$0.link.isLive } }
        guard isLacking else {
            return QiError(.offline, "no device of the group \(group.name) answers for \(service) (\(reasons))", hint: "qimesh devices")
        }
        return QiError(
            .notFound, "no device of the group \(group.name) that is online has a service \"\(service)\" (\(reasons))",
            hint: "qimesh devices")
    }

    // MARK: - Instances

    /// Looks at what has changed.
    private func review() {
        guard !isEnded else { return }
        let now = NIODeadline.now()
        if refreshAt <= now {
            refreshAt = now + Self.refresh
            refreshMembers()
        }
        for instance in instances.values where instance.isDue(at: now) { ask(instance) }
        settle(at: now)
        guard !isEnded, !endForAnotherInterface(at: now) else { return }
        for seat in seats.values { seat.review(at: now) }
    }

    private func refreshMembers() {
        do throws(QiError) {
            guard let now = try host?.group(named: group.name) else { return }
            if now.idempotent != group.idempotent { idempotent = members.map { methods($0, now) } }
            group = now
        } catch {
            // As before, until the owner has given one of the two another name.
            bus.logger.debug("a group is not read again", metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
            return
        }
        let known = Dictionary(group.members.map { ($0.address, $0) }) { first, _ in first }
        for (address, instance) in instances where known[address] == nil {
            instances[address] = nil
            forget(instance)
        }
        guard let host else { return }
        for member in group.members {
            if let instance = instances[member.address] {
                instance.update(member)
            } else {
                let instance = GroupInstance(member, link: host.groupLink(to: member.address))
                instances[member.address] = instance
                instance.link.observe(self) { [weak self, weak instance] in self?.changed(instance) }
            }
        }
    }

    private func ask(_ instance: GroupInstance) {
        if case .ready(let object) = instance.state { instance.link.objectReleased(object) }
        instance.asks()
        bus.enqueue { [self] in
            do throws(QiError) {
                found(try await instance.link.object(of: service), at: instance)
            } catch {
                instance.failed(error)
            }
            review()
        }
    }

    private func found(_ object: RemoteObject, at instance: GroupInstance) {
        guard !isEnded, instances[instance.address] === instance else { return instance.link.objectReleased(object) }
        if let members, members.metaObject != object.metaObject {
            instance.link.objectReleased(object)
            return instance.hasAnother()
        }
        if members == nil {
            members = object.members
            idempotent = methods(object.members, group)
        }
        instance.isReady(object)
        bus.logger.info("instance found", metadata: [LogKeys.service: "\(name)", LogKeys.peer: "\(instance.address)"])
    }

    private func changed(_ instance: GroupInstance?) {
        guard !isEnded, let instance else { return }
        instance.encourage()
        // The link is in the middle of it.
        bus.enqueue { [self] in review() }
    }

    private func methods(_ members: MemberTable, _ group: DeviceGroup) -> IdempotentMethods {
        IdempotentMethods(members.metaObject, of: service, patterns: group.idempotent)
    }

    private func forget(_ instance: GroupInstance) {
        instance.link.stopObserving(self)
        if case .ready(let object) = instance.state { instance.link.objectReleased(object) }
    }

    /// Whether it has ended because its interface is nowhere any more, and another one is.
    private func endForAnotherInterface(at now: NIODeadline) -> Bool {
        guard !instances.values.contains(where: \.isServing) else {
            strangeSince = nil
            return false
        }
        // While one is asked it may be any.
        guard !instances.values.contains(where: \.isAsked), instances.values.contains(where: \.isStrange) else { return false }
        let since = strangeSince ?? now
        strangeSince = since
        guard now - since >= Self.strangeness else { return false }
        bus.logger.notice("a service of a group has another interface now", metadata: [LogKeys.service: "\(name)"])
        host?.retire(groupService: name)
        return true
    }

    /// The instance for a proxy.
    func choose(except failed: GroupInstance?) -> GroupInstance? {
        let usable = instances.values.filter { $0 !== failed && $0.usable != nil }
        return InstanceChoice.pick(usable.map(\.candidate)).flatMap { instances[$0.address] }
    }

    func mayRunTwice(_ action: UInt32) -> Bool { idempotent?.contains(action) ?? false }

    func answered(by instance: GroupInstance) { host?.tally(answered: 1, lost: 0, by: instance.address, of: group.name) }

    func lostCall(of instance: GroupInstance) { host?.tally(answered: 0, lost: 1, by: instance.address, of: group.name) }

    func subscriptionMoved(_ error: QiError?, to instance: GroupInstance) {
        guard let error else { return }
        bus.logger.notice(
            "a subscription did not follow to another instance",
            metadata: [LogKeys.service: "\(name)", LogKeys.peer: "\(instance.address)", LogKeys.error: "\(error.message)"])
    }

    // MARK: - ObjectReceiver

    var memberTable: MemberTable? { members }

    func receive(_ call: IncomingCall) {
        switch call.address.action {
        case WellKnownActions.metaObject: describe(call)
        // A main object cannot be released by its users.
        case WellKnownActions.terminate: call.reply(ByteBuffer())
        default: seat(of: call.connection).receive(call)
        }
    }

    private func describe(_ call: IncomingCall) {
        var bytes = ByteBuffer()
        members?.metaObject.write(to: &bytes)
        call.reply(bytes)
    }

    private func seat(of connection: Connection) -> GroupSeat {
        if let seat = seats[connection.id] { return seat }
        let seat = GroupSeat(connection, of: self)
        seats[connection.id] = seat
        return seat
    }

    func closed(_ connection: Connection) {
        guard let seat = seats.removeValue(forKey: connection.id) else { return }
        seat.object?.closed(connection)
        seat.end(nil)
    }

    func released(_ address: ObjectAddress, on connection: Connection) {
        guard let seat = seats.removeValue(forKey: connection.id) else { return }
        seat.object?.released(address, on: connection)
        seat.end(QiError(.notFound, "\(name) is not what it was: look it up again"))
    }

    func isSubscribed(_ link: UInt64, to signal: UInt32, at address: ObjectAddress, on connection: Connection) -> Bool {
        seats[connection.id]?.object?.isSubscribed(link, to: signal, at: address, on: connection) ?? false
    }

    func endSubscriptions(on connection: Connection, at address: ObjectAddress, except mayStay: (String) -> Bool) {
        seats[connection.id]?.object?.endSubscriptions(on: connection, at: address, except: mayStay)
    }

    // MARK: - The end

    /// It is used by no connection any more.
    func end(_ error: QiError) {
        guard !isEnded else { return }
        isEnded = true
        for seat in seats.values { seat.end(error) }
        seats = [:]
        for instance in instances.values { forget(instance) }
        instances = [:]
        answer(.failure(error))
    }
}
