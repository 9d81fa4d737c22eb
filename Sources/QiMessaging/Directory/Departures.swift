import NIOCore
import QiWire

/// Tells why services go: libqi's serviceRemoved does not say whether a service was unregistered, and is gone, or was lost with its host,
/// and may come back. Gateways and member boards listen to it, a member says it to its master. In no listing, and nothing for those
/// outside.
enum Departures {
    static let serviceName = "QiMeshDepartures"
    /// `lost(id)`: takes a service of the caller's away whose host it has lost.
    static let lost: UInt32 = 100
    /// `unregistered(id, name)`: right before the serviceRemoved of a service that was unregistered.
    static let unregistered: UInt32 = 101

    static let members: MemberTable = {
        var builder = MetaObjectBuilder()
        builder.addMethod("lost", parameters: "(I)", returns: "v", uid: lost)
        builder.addSignal("unregistered", "(Is)", uid: unregistered)
        return MemberTable(builder.build())
    }()
}

extension ServiceDirectory {
    func makeDepartures() -> LocalObject {
        LocalObject(
            bus: bus, members: Departures.members,
            methods: [
                Departures.lost: { [weak self] call, arguments in
                    guard let self else { return call.fail(Self.ended.wireText) }
                    do throws(QiError) {
                        try unregister(arguments[0].asUInt32 ?? 0, owner: .connection(call.connection.id), isOrderly: false)
                        call.reply(ByteBuffer())
                    } catch {
                        call.fail(error.wireText)
                    }
                }
            ], takesPostedSignals: false)
    }

    /// Tells that a service is about to be removed because it was unregistered.
    func tellUnregistered(_ id: UInt32, _ name: String) {
        var payload = ByteBuffer()
        payload.writeQiUInt32(id)
        payload.writeQiString(QiString(name))
        departures.subscriptions.emit(Departures.unregistered, payload, flags: [], signature: nil)
    }
}
