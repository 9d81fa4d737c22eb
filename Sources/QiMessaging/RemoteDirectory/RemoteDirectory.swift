import NIOCore
import QiWire

/// The policy of what uses a directory elsewhere. Confined to the bus loop.
protocol RemoteDirectoryUser: AnyObject {
    /// Whether the directory is to be joined again by itself, after a loss and after an attempt that failed.
    var isWanted: Bool { get }
    /// Returns when an attempt to join may go well.
    nonisolated(nonsending) func untilReachable() async
    /// Opens a connection to the directory, says there what is to be said, and checks what answers.
    nonisolated(nonsending) func connect() async throws(QiError) -> Connection
    /// The directory is described and listened to. What is to be done before it counts as joined; throwing ends the connection.
    nonisolated(nonsending) func prepare(_ directory: RemoteObject, on connection: Connection) async throws(QiError)
    /// The directory can be used.
    func joined(_ directory: RemoteObject, on connection: Connection)
    /// An attempt failed. `isNews`: for another reason than the one before.
    func failed(_ error: QiError, isNews: Bool)
    /// The directory has removed a service.
    func removed(_ id: UInt32, _ name: String)
    /// The directory has a service more; told where `listensToArrivals`.
    func added(_ id: UInt32, _ name: String)
    /// A directory that is described otherwise than before came in the place of that one.
    func made(_ directory: RemoteObject)
}

extension RemoteDirectoryUser {
    nonisolated(nonsending) func untilReachable() async {}
    nonisolated(nonsending) func prepare(_ directory: RemoteObject, on connection: Connection) async throws(QiError) {}
    func failed(_ error: QiError, isNews: Bool) {}
    func added(_ id: UInt32, _ name: String) {}
    func made(_ directory: RemoteObject) {}
}

/// A directory elsewhere, and the one way of being its client: joins it, listens to it, notices its loss and comes back. What is done
/// there, and what becomes of the services in use (``RemoteServices``), is its user's. Confined to the bus loop.
final class RemoteDirectory {
    /// How the directory is used.
    struct Options {
        /// What errors and logs call it.
        var name: String
        /// Why it cannot be used before the first attempt.
        var reason: QiError
        /// Whether its user wants to know what it has more.
        var listensToArrivals = true
        /// Whether its machine id is asked for.
        var asksMachine = false
        /// What is said of a loss or a failed attempt.
        var explain: (QiError) -> QiError = { $0 }
        /// The pauses between attempts.
        var firstPause = TimeAmount.milliseconds(100)
        var longestPause = TimeAmount.seconds(5)
    }

    /// Hears once how an attempt went.
    typealias Waiter = (Result<RemoteObject, QiError>) -> Void

    let bus: Bus
    let options: Options
    var name: String { options.name }
    /// Weak: the user may end while an answer is awaited, and then the directory is followed no more.
    private(set) weak var user: (any RemoteDirectoryUser)?
    private var machine: StateMachine<Waiter>
    /// The directory, on every connection there is in turn: one object, or each event would come once per object.
    private(set) var object: RemoteObject?
    /// Empty before it was asked for.
    private(set) var machineID = ""
    /// What was removed while a service is asked for.
    var removedMeanwhile = RemovedMeanwhile()
    /// Whether the last attempt failed because the task that ran it was cancelled.
    private var wasGivenUp = false
    private var patient: [UInt64: UnsafeContinuation<Void, Never>] = [:]
    private var nextPatient: UInt64 = 0

    init(bus: Bus, options: Options) {
        self.bus = bus
        self.options = options
        machine = StateMachine(options.reason)
    }

    /// Whose policy holds. To be called once, before anything else.
    func begin(for user: any RemoteDirectoryUser) { self.user = user }

    /// The connection in use; nil while the directory is away.
    var connection: Connection? { machine.isUp ? object?.connection : nil }

    /// Why the directory cannot be used now; nil while it can.
    var away: QiError? { machine.away }

    // MARK: - Joining

    /// Joins now if it is away: one attempt, which all who want it meanwhile share. When the task that runs the attempt is cancelled, the
    /// others begin another.
    nonisolated(nonsending) func join() async throws(QiError) -> RemoteObject {
        while true {
            if bus.isShutDown { throw QiError(.disconnected, "this node is stopping") }
            var result: Result<RemoteObject, QiError>?
            // Read when the attempt ends: by the time this task goes on, another one may run.
            var isGivenUp = false
            var waiting: UnsafeContinuation<Void, Never>?
            let answer = machine.sought { [self] in
                result = $0
                isGivenUp = wasGivenUp
                waiting?.resume()
                waiting = nil
            }
            switch answer {
            case .isUp: return try usable().get()
            case .fail(let error): throw error
            // In this job: another one might never run when the node stops.
            case .join: await attempt()
            case .wait: break
            }
            // Looked at inside: the attempt may end on the way there.
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                if result == nil { waiting = continuation } else { continuation.resume() }
            }
            guard let result else { throw QiError(.disconnected, "\(name) was not joined") }
            if case .failure = result, isGivenUp, !Task.isCancelled, !machine.isEnded { continue }
            return try result.get()
        }
    }

    private nonisolated(nonsending) func attempt() async {
        wasGivenUp = false
        do throws(QiError) {
            guard let user else { throw Self.unused }
            finish(.success(try await setUp(on: try await user.connect())))
        } catch {
            wasGivenUp = Task.isCancelled
            finish(.failure(error))
        }
    }

    /// Joins on a connection that stands already.
    nonisolated(nonsending) func join(on connection: Connection) async throws(QiError) {
        guard case .join = machine.sought(by: { _ in }) else { throw away ?? Self.unused }
        wasGivenUp = false
        do throws(QiError) {
            finish(.success(try await setUp(on: connection)))
        } catch {
            finish(.failure(error))
            throw error
        }
        if let away { throw away }
    }

    private static let closed = QiError(.disconnected, "the connection was lost while the directory was joined")
    private static let unused = QiError(.disconnected, "this directory is not used any more")

    private func usable() -> Result<RemoteObject, QiError> {
        guard let object, object.connection != nil else { return .failure(away ?? object?.lostError ?? Self.unused) }
        return .success(object)
    }

    private func finish(_ result: Result<RemoteObject, QiError>) {
        switch result {
        case .success(let directory):
            guard let connection = directory.connection, !connection.isClosed else { return finish(.failure(directory.lostError)) }
            wasGivenUp = false
            guard let waiters = machine.joined() else { return connection.close(.unneeded("this directory is not used any more")) }
            user?.joined(directory, on: connection)
            for waiter in waiters { waiter(usable()) }
            wakePatient()
        case .failure(let error):
            let (waiters, isNews) = machine.failed(options.explain(error))
            user?.failed(error, isNews: isNews)
            for waiter in waiters { waiter(.failure(error)) }
        }
    }

    private nonisolated(nonsending) func setUp(on connection: Connection) async throws(QiError) -> RemoteObject {
        do throws(QiError) {
            let directory = try await describe(on: connection)
            guard let user else { throw Self.unused }
            try await user.prepare(directory, on: connection)
            if let ended = machine.endReason { throw ended }
            guard directory.connection === connection, !connection.isClosed else { throw Self.closed }
            return directory
        } catch {
            // Why it was closed says more than that it is.
            let reason = connection.closeReason?.error ?? error
            connection.close(.setUpFailed(error))
            throw reason
        }
    }

    /// Sees to it that the directory is joined again, for as long as its user wants that.
    func comeBack() {
        guard machine.comesBack() else { return }
        bus.enqueue { [self] in
            var backoff = Backoff(first: options.firstPause, most: options.longestPause)
            while !bus.isShutDown, !machine.isEnded, user?.isWanted == true {
                await user?.untilReachable()
                if bus.isShutDown { break }
                do throws(QiError) {
                    _ = try await join()
                    break
                } catch {
                    await bus.pause(backoff.next(after: error))
                }
            }
            machine.cameBack()
            // Lost again before this loop had ended, and then nothing else sees to it.
            if !machine.isUp, !machine.isEnded, !bus.isShutDown, user?.isWanted == true { comeBack() }
            if machine.isEnded || bus.isShutDown || user == nil { wakePatient() }
        }
    }

    /// A connection of the user's is closed.
    ///
    /// - Returns: whether it was the one in use; the user then says what follows, ``comeBack()`` if anything.
    func closed(_ connection: Connection, _ error: QiError) -> Bool {
        guard object?.connection == nil || object?.connection === connection else { return false }
        return machine.lost(options.explain(error))
    }

    /// Joins no more. Calls of the directory fail with `error`.
    func end(_ error: QiError) {
        let waiters = machine.ended(options.explain(error))
        object?.connection?.close(.stopped(error))
        object?.end(error)
        for waiter in waiters { waiter(.failure(error)) }
        wakePatient()
    }

    /// Joins no more, for this node stops; what runs goes on.
    func stop(_ error: QiError) {
        for waiter in machine.ended(error) { waiter(.failure(error)) }
        wakePatient()
    }

    // MARK: - Describing

    /// Describes the directory on a new connection, and listens to it. What does not need an answer before is asked together, for each
    /// question would cost its way there and back.
    private nonisolated(nonsending) func describe(on connection: Connection) async throws(QiError) -> RemoteObject {
        let machine = options.asksMachine ? connection.ask(ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)) : nil
        let signals = [WellKnownActions.serviceRemoved] + (options.listensToArrivals ? [WellKnownActions.serviceAdded] : [])
        let links = object == nil ? signals.map { ($0, connection.newLink()) } : []
        let register = ActionAddress(.serviceDirectory, action: WellKnownActions.registerEvent)
        let confirmations = links.map { signal, link in
            connection.ask(register, RemoteObject.linkPayload(.serviceDirectory, signal, link))
        }
        let metaObject = try await connection.metaObject(of: .serviceDirectory, name: name)
        for confirmation in confirmations {
            if let failure = await confirmation.answer().failure(of: name) { throw failure }
        }
        let directory = try await attach(to: connection, metaObject, links)
        if let machine { machineID = try await read(machine.answer()) }
        return directory
    }

    private func read(_ answer: CallAnswer) throws(QiError) -> String {
        guard case .reply(let payload, let flags) = answer else {
            throw answer.failure(of: name) ?? QiError(.invalid, "\(name) did not say where it is")
        }
        do throws(WireError) {
            return try payload.value(of: .string, flags: flags).asString ?? ""
        } catch {
            throw QiError(.invalid, "the machine id of \(name) cannot be read: \(error.message)")
        }
    }

    /// - Parameter links: under which the directory tells us of its signals already.
    private nonisolated(nonsending) func attach(
        to connection: Connection, _ metaObject: MetaObject, _ links: [(signal: UInt32, link: UInt64)]
    ) async throws(QiError) -> RemoteObject {
        if let ended = machine.endReason { throw ended }
        guard !connection.isClosed else { throw Self.closed }
        let directory: RemoteObject
        if let known = object, known.metaObject == metaObject, !known.isEnded {
            directory = known
            directory.attach(to: connection, at: .serviceDirectory)
        } else {
            object?.end(QiError(.notFound, "\(name) is another than before", hint: "ask for it again"))
            directory = RemoteObject(bus: bus, name: name, connection: connection, address: .serviceDirectory, metaObject: metaObject)
            object = directory
            for (signal, link) in links { directory.subscribed(to: signal, by: link) }
            user?.made(directory)
            listen(to: directory)
        }
        for signal in directory.subscriptions.signals { try await directory.confirmSubscription(to: signal) }
        return directory
    }

    private func listen(to directory: RemoteObject) {
        _ = directory.listen(to: WellKnownActions.serviceRemoved, confirmed: { _ in }) { [weak self] payload, _, _, _ in
            guard let self, let (id, name) = payload.idAndName else { return }
            removedMeanwhile.remove(id)
            user?.removed(id, name)
        }
        guard options.listensToArrivals else { return }
        _ = directory.listen(to: WellKnownActions.serviceAdded, confirmed: { _ in }) { [weak self] payload, _, _, _ in
            guard let self, let (id, name) = payload.idAndName else { return }
            removedMeanwhile.add(id)
            user?.added(id, name)
        }
    }

    // MARK: - Waiting

    /// Returns when the directory can be used, whatever attempts fail before.
    ///
    /// - Throws: `.offline` when it cannot until `deadline`.
    nonisolated(nonsending) func joined(until deadline: NIODeadline) async throws(QiError) -> RemoteObject {
        while true {
            if machine.isUp, let object, object.connection != nil { return object }
            guard NIODeadline.now() < deadline, !bus.isShutDown, !machine.isEnded else {
                throw away ?? QiError(.offline, "\(name) is away")
            }
            let id = nextPatient
            nextPatient += 1
            var timer: Scheduled<Void>?
            // All inside, for the directory may come on the way there.
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                if connection != nil || machine.isEnded || bus.isShutDown { return continuation.resume() }
                patient[id] = continuation
                timer = bus.schedule(at: deadline) { [weak self] in self?.patient.removeValue(forKey: id)?.resume() }
            }
            timer?.cancel()
        }
    }

    private func wakePatient() {
        let ready = patient
        patient = [:]
        for waiter in ready.values { waiter.resume() }
    }
}
