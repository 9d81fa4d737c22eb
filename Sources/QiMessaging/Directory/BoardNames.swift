import Logging
import NIOCore
import QiWire

/// What the boards of a robot are called, by machine id: libqi's ServiceInfo (wire reference §12) has no room for it. A member tells its
/// master when it joins, and the master tells whoever asks on the robot's own network. Names are for people: nothing is decided by them,
/// and whoever is on that network may claim one. Confined to the bus loop.
final class BoardNames {
    /// The service of a master that boards talk to. In no listing, and nothing for those outside.
    static let serviceName = "QiMeshBoards"
    /// `join(machineId, name)`: the board at the other end; `boards()`: names by machine id.
    static let join: UInt32 = 100, boards: UInt32 = 101
    /// Beyond this many boards the next ones have no name.
    static let maximumBoards = 64
    /// The longest machine id and name, in bytes.
    static let maximumText = 64
    /// How long a master may take to answer: names are an addition to what is asked for.
    static let patience = TimeAmount.seconds(2)

    private let machineID: String
    var name: String
    private var members: [ObjectIdentifier: (machineID: String, name: String, principal: Principal)] = [:]

    init(machineID: String, name: String) {
        self.machineID = machineID
        self.name = name
    }

    /// Names by machine id, this board's among them.
    var all: [String: String] {
        var names: [String: String] = [:]
        for member in members.values { names[member.machineID] = member.name }
        names[machineID] = name
        return names
    }

    /// A board has joined on `connection`, and is known as long as that is open.
    ///
    /// - Throws: `.invalid` when a text is empty or too long, `.limit` when there are too many boards, `.conflict` when another board that
    ///   is joined goes by that machine id.
    func joined(_ machineID: String, _ name: String, on connection: Connection) throws(QiError) {
        for text in [machineID, name] where text.isEmpty || text.utf8.count > Self.maximumText {
            throw QiError(.invalid, "a board's machine id and name have 1 to \(Self.maximumText) bytes")
        }
        let key = ObjectIdentifier(connection)
        let principal = connection.principal
        for (other, member) in members where other != key && member.machineID == machineID {
            guard member.principal == principal else {
                throw QiError(.conflict, "another board that is joined goes by the machine id \(machineID)")
            }
            // Its connection of before, whose end is not noticed yet.
            members[other] = nil
        }
        guard members[key] != nil || members.count < Self.maximumBoards else {
            throw QiError(.limit, "there are \(Self.maximumBoards) boards already")
        }
        members[key] = (machineID, name, principal)
    }

    func closed(_ connection: Connection) { members[ObjectIdentifier(connection)] = nil }

    /// The service of a master.
    func makeObject(on bus: Bus) -> LocalObject {
        var builder = MetaObjectBuilder()
        builder.addMethod("join", parameters: "(ss)", returns: "v", uid: Self.join)
        builder.addMethod("boards", parameters: "()", returns: "{ss}", uid: Self.boards)
        let table = MemberTable(builder.build())
        func answering(_ action: UInt32, _ body: @escaping (IncomingCall, [QiValue]) throws -> QiValue) -> LocalObject.LoopMethod {
            { call, arguments in
                guard let method = table.method(action) else { return call.fail("No such method") }
                do {
                    call.reply(with: try body(call, arguments), of: method, as: nil)
                } catch {
                    call.fail(error.callText)
                }
            }
        }
        return LocalObject(
            bus: bus, members: table,
            methods: [
                Self.join: answering(Self.join) { [self] call, arguments in
                    try joined(try arguments[0].text(), try arguments[1].text(), on: call.connection)
                    return .void
                },
                Self.boards: answering(Self.boards) { [self] _, _ in
                    .map(all.map { QiMapEntry(key: .string(QiString($0.key)), value: .string(QiString($0.value))) })
                },
            ], takesPostedSignals: false)
    }
}

/// This board's name at the master, and the names of all others there.
extension MasterLink {
    /// What the robot's boards are called: as the master says, or what is known here while it does not.
    nonisolated(nonsending) func boardNames(or known: [String: String]) async -> [String: String] {
        guard let connection = follower.connection else { return known }
        do throws(QiError) {
            let value = try await master(BoardNames.boards, [], on: connection)
            var names: [String: String] = [:]
            for entry in (value.asMap ?? []).prefix(BoardNames.maximumBoards + 1) { names[entry.key.asString ?? ""] = entry.value.asString }
            return names.merging(known) { _, own in own }
        } catch {
            bus.logger.debug("the master does not name the boards", metadata: [LogKeys.error: "\(error.message)"])
            return known
        }
    }

    /// Tells the master what this board is called. One that does not want to know is no reason to go without it.
    func tellName(_ name: String, on connection: Connection) {
        guard let machineID = directory?.machineID else { return }
        bus.enqueue { [self] in
            do throws(QiError) {
                _ = try await master(BoardNames.join, [.string(QiString(machineID)), .string(QiString(name))], on: connection)
            } catch {
                bus.logger.debug("the master does not take this board's name", metadata: [LogKeys.error: "\(error.message)"])
            }
        }
    }

    private nonisolated(nonsending) func master(
        _ action: UInt32, _ arguments: [QiValue], on connection: Connection
    ) async throws(QiError) -> QiValue {
        guard let master, master.connection === connection else { throw QiError(.offline, "\(name) is away") }
        let deadline = NIODeadline.now() + BoardNames.patience
        let found = try await master.value(of: WellKnownActions.service, [.string(QiString(BoardNames.serviceName))], deadline: deadline)
        guard let info = try? ServiceInfo(qiValue: found) else { throw QiError(.invalid, "the master's answer cannot be read") }
        let address = ObjectAddress.main(ofService: info.serviceID)
        let metaObject = try await connection.metaObject(of: address, name: BoardNames.serviceName, deadline: deadline)
        let boards = RemoteObject(
            bus: bus, name: BoardNames.serviceName, connection: connection, address: address, metaObject: metaObject)
        defer { boards.end(QiError(.disconnected, "not used any more")) }
        return try await boards.value(of: action, arguments, deadline: deadline)
    }
}
