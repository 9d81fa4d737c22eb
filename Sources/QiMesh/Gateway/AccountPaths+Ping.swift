import QiMessaging
import XMPP

/// What a device answered to the question whether it is alive.
struct PingedDevice: Sendable {
    /// The full address of the connection that answered.
    let connection: JID
    /// There and back.
    let roundTrip: Duration
}

extension AccountPaths {
    /// Asks a device's node whether it is alive (XEP-0199): through the servers, whatever way calls take, and without a tunnel.
    ///
    /// - Parameter limit: how long it may take to answer.
    /// - Throws: as ``device(named:)``; `.offline` for a device that is not there, with who says so; `.timedOut`.
    func ping(_ name: String, within limit: Duration) async throws(QiError) -> PingedDevice {
        let device = try device(named: name)
        guard let (gateway, jid) = gateway(of: device) else { throw TunnelAttempt.noContact(device) }
        guard gateway.client.state.isOnline else {
            throw QiError(
                .offline, "\(name) cannot be reached: this node is not connected to \(gateway.own.domain)", hint: "qimesh status")
        }
        let connection = try await gateway.peers.awaitTunnelResource(of: jid, name: name).jid
        do throws(XMPPError) {
            return PingedDevice(connection: connection, roundTrip: try await gateway.peers.ping(connection, within: limit))
        } catch {
            throw Self.error(error, name, limit)
        }
    }

    private static func error(_ error: XMPPError, _ name: String, _ limit: Duration) -> QiError {
        if let answer = error.stanzaError {
            return DeviceProbes.isUnreachable(error)
                ? QiError(.offline, "\(name) is not there: its server answers \(answer.condition)", cause: error)
                : QiError(.remote, "\(name) answers \(answer.condition)", cause: error)
        }
        return switch error.code {
        case .timedOut: QiError(.timedOut, "\(name) did not answer within \(limit.text)", cause: error)
        case .cancelled: QiError(.cancelled, "gave up waiting for \(name)", cause: error)
        case .limitExceeded: QiError(.limit, error.message, cause: error)
        default: QiError(.offline, "\(name) could not be asked: \(error.message)", cause: error)
        }
    }
}
