import Synchronization

/// The last known state of a client, for readers on any thread. Written by the session only.
final class ClientStatus: Sendable {
    private struct Status: Sendable {
        var state = XMPPConnectionState.idle
        var boundJID: JID?
        var inBand = InBandStatus()
    }

    private let status = Mutex(Status())
    private let bytestreamCount = Atomic<Int>(0)

    var state: XMPPConnectionState { status.withLock { $0.state } }
    var boundJID: JID? { status.withLock { $0.boundJID } }

    /// Bytestreams that are open, being opened, or have something to send yet.
    var bytestreams: Int { bytestreamCount.load(ordering: .relaxed) }

    func setBytestreams(_ count: Int) { bytestreamCount.store(count, ordering: .relaxed) }

    func set(_ state: XMPPConnectionState, boundJID: JID?) {
        status.withLock { status in
            status.state = state
            status.boundJID = boundJID
        }
    }

    /// What was learned of in-band bytes, as of the last tick of the session.
    var inBand: InBandStatus { status.withLock { $0.inBand } }

    func setInBand(_ inBand: InBandStatus) { status.withLock { $0.inBand = inBand } }
}
