import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// A directory with a policy and two doors: one of the robot's own bus, one to the network, where everybody is `host:127.0.0.1`.
struct GuardedDirectory: Sendable {
    let server: DirectoryServer
    let control: AccessControl
    let inside: Endpoint
    let outside: Endpoint
    let audit: RecordedAudit

    static func with<Result>(
        _ rules: [PermissionRule], _ services: [String: ObjectBuilder] = [:], limits: ConnectionLimits = ConnectionLimits(),
        _ body: (GuardedDirectory) async throws -> Result
    ) async throws -> Result {
        let audit = RecordedAudit()
        let control = AccessControl(PermissionPolicy(rules: rules), audit: audit)
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let server = try await DirectoryServer.make(on: loop, machineID: "test-machine", limits: limits, access: control)
        let address = try #require(Endpoint("tcp://127.0.0.1:0"))
        let inside = try await server.listen(at: address)
        let outside = try await server.listen(at: address, zone: .lan)
        do {
            for (name, object) in services { _ = try await server.register(object, as: name) }
            let result = try await body(
                GuardedDirectory(
                    server: server, control: control, inside: inside.endpoint, outside: outside.endpoint, audit: audit))
            await inside.close()
            await outside.close()
            await loop.shutDown()
            return result
        } catch {
            await inside.close()
            await outside.close()
            await loop.shutDown()
            throw error
        }
    }

    func reload(_ rules: PermissionRule...) { control.replace(PermissionPolicy(rules: rules)) }

    /// The id of a service, as somebody of the bus knows it.
    func id(of service: String) async throws -> UInt32 {
        try #require(try await server.services().first { $0.name == service }).serviceID
    }
}

/// Keeps what was audited.
final class RecordedAudit: AuditSink {
    private let records = Mutex<[AuditRecord]>([])
    func record(_ record: AuditRecord) { records.withLock { $0.append(record) } }
    var all: [AuditRecord] { records.withLock { $0 } }

    func has(_ event: String, _ target: String, _ access: String) -> Bool {
        all.contains { $0.event == event && $0.target == target && $0.access == access && $0.principal == "host:127.0.0.1" }
    }
}

/// A robot's arm: counts what reaches it.
final class Arm: Sendable {
    static let move: UInt32 = 100
    static let getAngle: UInt32 = 101
    static let moved: UInt32 = 102
    static let speed: UInt32 = 103
    static let secret: UInt32 = 104
    static let finger: UInt32 = 105

    private let state = Mutex((calls: 0, posts: 0))
    /// How often `move` has run.
    var moves: Int { state.withLock { $0.calls } }

    var object: ObjectBuilder {
        var builder = ObjectBuilder(description: "An arm")
        let ids = [
            builder.advertiseMethod("move", "(i)") { [self] arguments, context in
                state.withLock { $0.calls += 1 }
                try context.object.emit("moved", arguments)
                return .void
            },
            builder.advertiseMethod("getAngle", "()", returns: "i") { _, _ in .int32(7) },
            builder.advertiseSignal("moved", "(i)"),
            builder.advertiseProperty("speed", "i", initial: .int32(3)),
            builder.advertiseProperty("secret", "i", initial: .int32(42)),
            builder.advertiseMethod("finger", "()", returns: "o") { _, context in
                .object(try await context.host(self.child).reference)
            },
        ]
        #expect(ids == [Self.move, Self.getAngle, Self.moved, Self.speed, Self.secret, Self.finger])
        return builder
    }

    private var child: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("getLength", "()", returns: "i") { _, _ in .int32(1) }
        builder.advertiseMethod("move", "(i)") { [self] _, _ in
            state.withLock { $0.calls += 1 }
            return .void
        }
        return builder
    }
}

extension RawClient {
    /// The names that services() lists.
    func serviceNames() async throws -> [String] {
        let answer = try await call(ActionAddress(.serviceDirectory, action: WellKnownActions.services), id: 0xFFFF_0006)
        #expect(answer.kind == .reply, "\(answer.errorText)")
        let list = try answer.value(Signature(.list(ServiceInfo.signature.type))).asList ?? []
        return try list.map { try ServiceInfo(qiValue: $0).name }
    }

    func metaObject(of object: ObjectAddress) async throws -> MetaObject {
        let answer = try await call(ActionAddress(object, action: WellKnownActions.metaObject), id: 0xFFFF_0007, [.uint32(0)], "(I)")
        #expect(answer.kind == .reply, "\(answer.errorText)")
        return try MetaObject(qiValue: answer.value(MetaObject.signature))
    }

    /// What a call is answered: nil for a reply, else the text of the error.
    func refusal(
        of action: UInt32, on object: ObjectAddress, _ arguments: [QiValue] = [], _ signature: Signature = "()"
    ) async throws -> String? {
        let answer = try await call(ActionAddress(object, action: action), id: 0xFFFF_0008, arguments, signature)
        return answer.kind == .reply ? nil : answer.errorText
    }

    func refusalOfLookUp(_ name: String) async throws -> String? {
        try await refusal(of: WellKnownActions.service, on: .serviceDirectory, [.string(QiString(name))], "(s)")
    }
}
