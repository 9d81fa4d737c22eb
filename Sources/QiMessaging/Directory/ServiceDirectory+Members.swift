import NIOCore
import QiWire
import Synchronization

/// The members of service 1, with libqi's ids and signatures (wire reference §12).
extension ServiceDirectory {
    func makeObject(isFull: Bool) -> LocalObject {
        var builder = MetaObjectBuilder()
        let info = ServiceInfo.signature.text
        var methods: [UInt32: LocalObject.LoopMethod] = [:]
        func add(_ uid: UInt32, _ name: String, _ parameters: Signature, _ returns: Signature, _ body: @escaping Body) {
            builder.addMethod(name, parameters: parameters, returns: returns, uid: uid)
            methods[uid] = onLoop(body)
        }
        add(WellKnownActions.service, "service", "(s)", ServiceInfo.signature) { directory, call, arguments, answer in
            // A Post has no answer, and nothing would bound the look-ups it starts.
            guard !call.isPost else { return }
            directory.lookUp(try arguments[0].text(), for: call.connection) { result in answer(result.map(\.qiValue)) }
        }
        add(WellKnownActions.services, "services", "()", Signature(.list(ServiceInfo.signature.type))) { directory, call, _, answer in
            guard !call.isPost else { return }
            directory.list(for: call.connection) { result in answer(result.map { .list($0.map(\.qiValue)) }) }
        }
        if isFull { addRegistering(info, add) }
        builder.addSignal("serviceAdded", "(Is)", uid: WellKnownActions.serviceAdded)
        builder.addSignal("serviceRemoved", "(Is)", uid: WellKnownActions.serviceRemoved)
        add(WellKnownActions.machineID, "machineId", "()", "s") { directory, _, _, answer in
            answer(.success(.string(directory.machineID)))
        }
        if isFull {
            add(WellKnownActions.socketOfService, "_socketOfService", "(I)", "o") { _, _, _, answer in
                answer(.failure(QiError(.unsupported, "_socketOfService is for the directory's own process")))
            }
        }
        // Or any peer could close the proxies of all others with a false serviceRemoved.
        return LocalObject(bus: bus, members: Self.table(isFull, builder), methods: methods, takesPostedSignals: false)
    }

    /// The members are the same in every directory: their signatures are parsed once.
    private static func table(_ isFull: Bool, _ builder: MetaObjectBuilder) -> MemberTable {
        tables.withLock { tables in
            if let known = tables[isFull] { return known }
            let table = MemberTable(builder.build())
            tables[isFull] = table
            return table
        }
    }

    private static let tables = Mutex<[Bool: MemberTable]>([:])

    typealias Answer = (Result<QiValue, QiError>) -> Void
    typealias Body = (ServiceDirectory, IncomingCall, [QiValue], @escaping Answer) throws -> Void

    static let ended = QiError(.disconnected, "this directory has ended")

    private func onLoop(_ body: @escaping Body) -> LocalObject.LoopMethod {
        { [weak self] call, arguments in
            guard let self else { return call.fail(Self.ended.wireText) }
            // A look-up may take longer than this directory lives.
            let answer: Answer = { [weak self] result in
                guard let self else { return call.fail(Self.ended.wireText) }
                switch result {
                case .failure(let error): call.fail(error.wireText)
                case .success(let value):
                    let owner = object(for: call.connection)
                    guard let method = owner.members.method(call.address.action) else { return call.fail("No such method") }
                    owner.reply(to: call, value, method)
                }
            }
            do {
                try body(self, call, arguments, answer)
            } catch let error as QiError {
                answer(.failure(error))
            } catch {
                answer(.failure(QiError(.invalid, (error as? WireError)?.message ?? "\(error)")))
            }
        }
    }

    private func addRegistering(_ info: String, _ add: (UInt32, String, Signature, Signature, @escaping Body) -> Void) {
        let infoParameters = Signature(.tuple([ServiceInfo.signature.type]))
        add(WellKnownActions.registerService, "registerService", infoParameters, "I") { directory, call, arguments, answer in
            try directory.mayRegister()
            let info = directory.told(try ServiceInfo(qiValue: arguments[0]), by: call.connection)
            let rule = try call.connection.access?.checkRegistering(info.name)
            directory.leaveEarlierStream(hosting: info.name, for: call.connection)
            let caller = call.callerFromOutside
            let holder = DirectoryTable.Holder(caller?.caller.principal ?? call.connection.principal)
            try directory.checkShare(of: call.connection, for: info.name, holder)
            directory.register(info, owner: .connection(call.connection.id), holder: holder, for: caller) { result in
                call.connection.access?.noteRegistering(info.name, rule, result)
                answer(result.map { .uint32($0) }.mapError { directory.told($0, to: call.connection) })
            }
        }
        add(WellKnownActions.unregisterService, "unregisterService", "(I)", "v") { directory, call, arguments, answer in
            try directory.mayRegister()
            try directory.unregister(arguments[0].asUInt32 ?? 0, owner: .connection(call.connection.id))
            answer(.success(.void))
        }
        add(WellKnownActions.serviceReady, "serviceReady", "(I)", "v") { directory, call, arguments, answer in
            try directory.mayRegister()
            directory.ready(arguments[0].asUInt32 ?? 0, owner: .connection(call.connection.id)) { result in
                answer(result.map { .void }.mapError { directory.told($0, to: call.connection) })
            }
        }
        add(WellKnownActions.updateServiceInfo, "updateServiceInfo", infoParameters, "v") { directory, call, arguments, answer in
            try directory.mayRegister()
            let info = directory.told(try ServiceInfo(qiValue: arguments[0]), by: call.connection)
            try directory.update(info, owner: .connection(call.connection.id))
            answer(.success(.void))
        }
    }

    /// Why a registration failed, in words for this peer: those outside are not told where the master is.
    private func told(_ error: QiError, to connection: Connection) -> QiError {
        guard connection.isOutside, error.isRetryable else { return error }
        return QiError(.offline, "the directory is away: try again in a moment")
    }

    /// What a host says of its service. Nobody here may dial where one from outside says that it listens: it is reached on its own
    /// connection.
    private func told(_ info: ServiceInfo, by connection: Connection) -> ServiceInfo {
        guard connection.isOutside else { return info }
        var info = info
        info.endpoints = []
        return info
    }

    private func mayRegister() throws(QiError) {
        if let readOnlyReason { throw QiError(.denied, readOnlyReason) }
    }
}

extension QiValue {
    /// A service name: valid UTF-8, or nothing has that name.
    func text() throws(QiError) -> String {
        guard let text = asString else { throw QiError(.notFound, "the name is not UTF-8: no service has it") }
        return text
    }
}
