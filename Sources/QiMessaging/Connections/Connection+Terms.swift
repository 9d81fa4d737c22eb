import NIOCore
import QiWire

/// ``CallTerms`` of calls, told by a Post to service 0, object 0 before the call they are about: its id (4 bytes), the longest result
/// (8, all ones for none), and the milliseconds that the caller waits (4, all ones for no end that is known). All ones for both take away
/// what was told of that id. Only a peer that announced ``CallTermsTable/capability`` is told: libqi never hears of it.
///
/// On a device stream the Post may come long before its call, for what concerns a connection goes first there.
struct CallTermsTable {
    static let capability = Capabilities.Name.callTerms
    static let action: UInt32 = 0x514D_0012
    /// Calls whose terms are kept before they come. Of a peer that tells of more, those that were told first are forgotten: these calls are
    /// judged without.
    static let most = 1024
    /// No peer is believed to wait longer: that is how long an answer may occupy a narrow path at its wish.
    static let longestWait = TimeAmount.minutes(10)

    /// Whether the peer wants to be told.
    var areTold = false
    private var known: [UInt32: (terms: CallTerms, number: UInt64)] = [:]
    /// All of them in the order in which they were told, and some that are known no more.
    private var order = CircularBuffer<(id: UInt32, number: UInt64)>()
    private var nextNumber: UInt64 = 0

    var isEmpty: Bool { known.isEmpty }

    mutating func take(_ id: UInt32) -> CallTerms? {
        guard !known.isEmpty, let taken = known.removeValue(forKey: id) else { return nil }
        if known.isEmpty { order.removeAll(keepingCapacity: true) }
        return taken.terms
    }

    /// Terms that say nothing take away what was said before of that id: of a call that was taken back before it came.
    mutating func keep(_ terms: CallTerms, of id: UInt32) {
        guard terms != CallTerms() else {
            _ = take(id)
            return
        }
        known[id] = (terms, nextNumber)
        order.append((id, nextNumber))
        nextNumber += 1
        while known.count > Self.most, let oldest = order.popFirst() { forget(oldest) }
        guard order.count > 2 * Self.most else { return }
        order = CircularBuffer(order.filter { known[$0.id]?.number == $0.number })
    }

    private mutating func forget(_ told: (id: UInt32, number: UInt64)) {
        guard known[told.id]?.number == told.number else { return }
        known[told.id] = nil
    }

    static func write(_ terms: CallTerms, of id: UInt32, at now: NIODeadline) -> ByteBuffer {
        var payload = ByteBuffer()
        payload.writeQiUInt32(id)
        payload.writeInteger(terms.mostBytes.map { UInt64(max($0, 0)) } ?? .max, endianness: .little)
        payload.writeQiUInt32(terms.end.map { UInt32(clamping: max(($0 - now).nanoseconds / 1_000_000, 0)) } ?? .max)
        return payload
    }

    /// - Throws: when it has another form.
    static func read(_ payload: ByteBuffer, at now: NIODeadline) throws(WireError) -> (id: UInt32, terms: CallTerms) {
        var payload = payload
        let id = try payload.readQiUInt32()
        guard let most = payload.readInteger(endianness: .little, as: UInt64.self) else {
            throw WireError(.value, "the terms of a call end early")
        }
        let wait = try payload.readQiUInt32()
        guard payload.readableBytes == 0 else {
            throw WireError(.value, "the terms of a call are followed by \(payload.readableBytes) bytes")
        }
        return (
            id,
            CallTerms(
                mostBytes: most == .max ? nil : Int(clamping: most),
                end: wait == .max ? nil : now + min(.milliseconds(Int64(wait)), longestWait)))
    }
}

extension Connection {
    /// What is announced for terms: between processes of one machine and between devices, where both may be QiMesh.
    static func announcesTerms(_ origin: ConnectionOrigin) -> Bool { origin.isNeighbour || origin.device != nil }

    /// Tells the peer the terms of the call of that id, which is sent next.
    func tell(_ terms: CallTerms, of id: UInt32) {
        post(ActionAddress(.connection, action: CallTermsTable.action), CallTermsTable.write(terms, of: id, at: .now()))
    }

    /// The call of that id was taken back before it left: its terms, which may have left, are not those of the next call of that id.
    func tellNoTerms(of id: UInt32) {
        if callTerms.areTold { tell(CallTerms(), of: id) }
    }

    /// The peer tells the terms of a call.
    func receivedTerms(_ payload: ByteBuffer) {
        do throws(WireError) {
            let (id, terms) = try CallTermsTable.read(payload, at: .now())
            callTerms.keep(terms, of: id)
        } catch {
            close(.invalid("the peer told the terms of a call in a way that cannot be read: \(error.message)"))
        }
    }
}
