import Foundation
import QiMessaging

/// The part of the control interface about the public door.
final class GatewayControl: Sendable {
    private let door: StandingDoor

    init(_ door: StandingDoor) { self.door = door }

    var status: DoorStatus {
        let trouble = door.trouble
        return DoorStatus(
            gateway: door.service.endpoints, gatewayKey: door.service.key.map { "\($0)" }, gatewayTrouble: trouble?.text,
            gatewayTroubleSince: trouble?.since?.timeIntervalSince1970)
    }

    /// How it is used; nil while it is not open.
    func load() async throws -> GatewayLoad? {
        guard let status = try await door.service.status() else { return nil }
        return GatewayLoad(
            endpoints: status.endpoints.map(\.text), advertised: status.advertised.map(\.text), trouble: status.trouble?.message,
            services: status.services, servicesInUse: status.servicesInUse, servicesAway: status.servicesAway,
            connections: status.connections, unproven: status.unproven)
    }
}
