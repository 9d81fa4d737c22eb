import NIOCore
import QiWire

/// What a connection tells of itself and of the objects on its far side.
extension Connection {
    /// The URI under which the peer reached us; nil where there is none (a tunnel).
    var localEndpoint: String? {
        guard let address = channel.localAddress, let host = address.plainHost, let port = address.port else { return nil }
        return host.contains(":") ? "\(origin.scheme)://[\(host)]:\(port)" : "\(origin.scheme)://\(host):\(port)"
    }

    /// Asks for an object's metaobject.
    func describe(
        _ address: ObjectAddress, name: String, deadline: NIODeadline = .now() + .seconds(10),
        completion: @escaping (Result<MetaObject, QiError>) -> Void
    ) {
        var payload = ByteBuffer()
        payload.writeQiUInt32(0)  // ignored by the peer, and mandatory (reference §9)
        let action = ActionAddress(address, action: WellKnownActions.metaObject)
        call(action, payload, deadline: deadline) { answer in
            guard case .reply(let payload, let flags) = answer else {
                return completion(.failure(answer.failure(of: name) ?? QiError(.invalid, "no metaobject")))
            }
            do throws(WireError) {
                var bytes = payload
                let isPlain = !flags.contains(.dynamicPayload)
                completion(
                    .success(
                        isPlain
                            ? try MetaObject(reading: &bytes)
                            : try MetaObject(qiValue: try payload.value(of: MetaObject.signature.type, flags: flags))))
            } catch {
                completion(.failure(QiError(.invalid, "the metaobject of \(name) cannot be read: \(error.message)")))
            }
        }
    }
}

/// The answer to a call, awaited later than it was asked for, by one. Confined to the bus loop.
final class AwaitedAnswer {
    private var received: CallAnswer?
    private var waiting: UnsafeContinuation<Void, Never>?

    func complete(_ answer: CallAnswer) {
        received = answer
        waiting?.resume()
        waiting = nil
    }

    nonisolated(nonsending) func answer() async -> CallAnswer {
        // Looked at inside: the answer may come on the way there.
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            if received == nil { waiting = continuation } else { continuation.resume() }
        }
        return received ?? .canceled
    }
}

extension Connection {
    /// Calls an action of the peer, within 10 s, and goes on.
    func ask(_ address: ActionAddress, _ payload: ByteBuffer = ByteBuffer()) -> AwaitedAnswer {
        let awaited = AwaitedAnswer()
        call(address, payload, deadline: .now() + .seconds(10)) { awaited.complete($0) }
        return awaited
    }
}

extension ObjectAddress {
    /// Whether the object was passed by the user of a service, not returned by its host (reference §5).
    var isPassed: Bool { object >= 0x8000_0000 }
}

extension ByteBuffer {
    /// The value of a reply or event: of `type`, or a dynamic converted to it when the flag is set (wire reference §4).
    func value(of type: QiType, flags: MessageFlags, objects: ObjectCoding = .standard) throws(WireError) -> QiValue {
        var copy = self
        guard flags.contains(.dynamicPayload) else { return try copy.readQi(type, objects: objects) }
        return try copy.readQi(.dynamic, objects: objects).converted(from: .dynamic, to: type)
    }
}
