import Foundation
import QiMessaging
import QiWire

/// What the command line asks the node about its public door.
final class GatewayControl: ControlMembers {
    private let door: StandingDoor
    private var service: GatewayService { door.service }

    init(_ door: StandingDoor) { self.door = door }

    func add(to builder: inout ObjectBuilder) {
        builder.advertiseControl("gateway", "()") { [service = door.service] _, _ in
            guard let status = try await service.status() else { return .dictionary([]) }
            return .dictionary([
                ("endpoints", .list(status.endpoints.map { .string($0.text) })),
                ("advertised", .list(status.advertised.map { .string($0.text) })), ("trouble", .string(status.trouble?.message ?? "")),
                ("services", .int64(Int64(status.services))), ("servicesInUse", .int64(Int64(status.servicesInUse))),
                ("servicesAway", .int64(Int64(status.servicesAway))), ("connections", .int64(Int64(status.connections))),
                ("unproven", .int64(Int64(status.unproven))),
            ])
        }
    }

    var status: [(String, QiValue)] {
        let trouble = door.trouble
        return [
            ("gateway", .list(service.endpoints.map { .string($0) })), ("gatewayKey", .string(service.key.map { "\($0)" } ?? "")),
            ("gatewayTrouble", .string(trouble?.text ?? "")),
            ("gatewayTroubleSince", .double(trouble?.since?.timeIntervalSince1970 ?? -1)),
        ]
    }
}
