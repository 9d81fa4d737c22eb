import NIOCore
import QiWire
import Synchronization

/// One subscription of this process, libqi's `SignalLink`. It lives until ``disconnect()``, until the object goes away, and until
/// nobody holds it. Keeps its object alive.
public final class SignalLink: Sendable {
    private let disconnection = Mutex<(@Sendable () -> Void)?>(nil)

    init(_ disconnect: @escaping @Sendable () -> Void = {}) { disconnection.withLock { $0 = disconnect } }

    deinit { disconnect() }

    /// Ends the subscription: no event is delivered that is emitted from now on.
    public func disconnect() {
        let disconnect = disconnection.withLock { disconnection in
            defer { disconnection = nil }
            return disconnection
        }
        disconnect?()
    }

    /// Subscribes; returns when the owner has confirmed.
    ///
    /// - Parameters:
    ///   - isLatest: whether only the last event counts.
    ///   - sink: gets the arguments of every event, where it arrives.
    ///   - leftOut: is told how many events were left out, before the one that comes next.
    ///   - ended: runs when no more will come, and says why.
    static func connect(
        _ proxy: ObjectProxy, _ signal: MemberTable.Signal, isLatest: Bool = false,
        _ sink: @escaping @Sendable ([QiValue]) -> Void, leftOut: @escaping @Sendable (Int) -> Void,
        ended: @escaping @Sendable (QiError) -> Void
    ) async throws(QiError) -> SignalLink {
        let uid = signal.meta.uid
        let decoder = EventDecoder(signal: signal, objectName: "an object of \(proxy.name)")
        return try await connect(
            proxy, uid, isLatest: isLatest,
            received: { payload, flags, connection, missed in
                if missed > 0 { leftOut(missed) }
                // An event that does not decode is dropped (wire reference §15).
                guard let arguments = try? decoder.arguments(payload, flags, connection) else { return }
                sink(arguments)
            }, sink: sink, ended: ended)
    }

    /// As above, with the payload of events that come over a connection.
    static func connect(
        _ proxy: ObjectProxy, _ uid: UInt32, isLatest: Bool,
        received: @escaping @Sendable (ByteBuffer, MessageFlags, Connection?, _ missed: Int) -> Void,
        sink: @escaping @Sendable ([QiValue]) -> Void, ended: @escaping @Sendable (QiError) -> Void
    ) async throws(QiError) -> SignalLink {
        switch proxy.handle.target {
        case .local(let object):
            let object = try proxy.handle.requireLocal(object)
            let handle = proxy.handle
            let end = try handle.whenEnded(ended)
            let token = object.listen(to: uid, sink)
            return SignalLink {
                handle.stopListening(end)
                object.stopListening(token, to: uid)
            }
        case .remote(let path):
            let (loop, target) = (path.loop, path.object)
            let (failure, token) = try await loop.run { (_) async throws(QiError) -> (QiError?, UInt64) in
                if target.value.waitsInGap { try await target.value.attached(until: .now() + .seconds(10)) }
                var token: UInt64 = 0
                let failure: QiError? = await withUnsafeContinuation { continuation in
                    token = target.value.listen(
                        to: uid, isLatest: isLatest, confirmed: { continuation.resume(returning: $0) }, ended: ended, received)
                    // An object that came as a value lives as long as somebody listens to it.
                    if !target.value.isMain { target.value.addHolder() }
                }
                return (failure, token)
            }
            // Whoever gave out the proxy counts it as used as long as the link is there.
            let link = SignalLink { [handle = proxy.handle] in
                loop.submit { _ in
                    target.value.stopListening(token, to: uid)
                    if !target.value.isMain { target.value.removeHolder() }
                }
                withExtendedLifetime(handle) {}
            }
            if let failure {
                link.disconnect()
                throw failure
            }
            return link
        }
    }
}

/// How the events of one signal become values.
struct EventDecoder: Sendable {
    let signal: MemberTable.Signal
    let objectName: String

    /// The arguments in an event's payload, objects with their proxies. On the loop.
    func arguments(_ payload: ByteBuffer, _ flags: MessageFlags, _ connection: Connection?) throws -> [QiValue] {
        let type: QiType = flags.contains(.dynamicPayload) ? .dynamic : signal.signature.type
        var payload = payload
        let value = try payload.readQi(type, objects: connection?.objectCoding ?? .standard)
        let adopted = type.mayHoldObject ? try connection?.adopting(value, named: objectName) ?? value : value
        return try QiArguments(adopted, as: type).values
    }
}
