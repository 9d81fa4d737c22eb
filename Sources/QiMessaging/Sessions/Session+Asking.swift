package import Logging
import NIOCore
import NIOPosix
import QiWire

extension Session {
    /// Whether a service directory answers at `endpoint` that is none of ours: NAOqi's, or another of libqi's. One that asks for a login
    /// first does not count.
    ///
    /// - Parameter limit: how long that may take.
    package static func isForeignDirectory(
        at endpoint: Endpoint, within limit: Duration = .seconds(2), logger: Logger
    ) async -> Bool {
        let end = NIODeadline.now() + TimeAmount(limit)
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: logger)
        var limits = ConnectionLimits()
        limits.authenticationTimeout = TimeAmount(limit)
        let context = Dialer.Context(loop: loop, transports: TransportSet(), owner: nil, limits: limits)
        var isForeign = false
        do throws(QiError) {
            let connection = try await Dialer.connect(to: endpoint, in: context, timeout: TimeAmount(limit))
            isForeign = try await loop.run { (_) async throws(QiError) in
                if connection.value.remoteCapabilities.isEnabled(Capabilities.Name.eventGaps) { return false }
                let members = try await connection.value.metaObject(of: .serviceDirectory, name: "ServiceDirectory", deadline: end)
                return members.methods.contains { $0.uid == WellKnownActions.registerService && $0.name == "registerService" }
            }
        } catch {
            // Whatever it is, it is no directory that can be used as it is.
            isForeign = false
        }
        await loop.shutDown()
        return isForeign
    }
}
