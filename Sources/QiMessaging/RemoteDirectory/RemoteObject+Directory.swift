import NIOCore
import QiWire

/// What a directory elsewhere is asked.
extension RemoteObject {
    /// What the directory says of one service.
    ///
    /// - Throws: `.notFound`, `.remote` or `.denied` as the directory words it when it has none for us; `.invalid` when the answer cannot
    ///   be read.
    nonisolated(nonsending) func info(ofService service: String, until deadline: NIODeadline) async throws(QiError) -> ServiceInfo {
        let value = try await value(of: WellKnownActions.service, [.string(QiString(service))], deadline: deadline)
        do throws(WireError) {
            return try ServiceInfo(qiValue: value)
        } catch {
            throw QiError(.invalid, "what \(name) says of \(service) cannot be read: \(error.message)")
        }
    }

    /// All services that the directory lists.
    ///
    /// - Throws: `.invalid` when the list cannot be read.
    nonisolated(nonsending) func listedServices(until deadline: NIODeadline) async throws(QiError) -> [ServiceInfo] {
        let value = try await value(of: WellKnownActions.services, [], deadline: deadline)
        do throws(WireError) {
            return try ServiceInfo.list(value)
        } catch {
            throw QiError(.invalid, "the list of \(name) cannot be read: \(error.message)")
        }
    }
}

extension QiError {
    /// Whether a directory that answers so has no such service for us.
    var saysThereIsNone: Bool { code == .notFound || code == .remote || code == .denied }
}

extension ByteBuffer {
    /// The arguments of serviceAdded and serviceRemoved, `(Is)`.
    var idAndName: (UInt32, String)? {
        var copy = self
        guard let id = try? copy.readQiUInt32(), case .string(let name)? = try? copy.readQi(.string),
            name.bytes.count <= ServiceInfo.longestName
        else { return nil }
        return (id, name.lossyText)
    }
}
