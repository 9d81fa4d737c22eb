import Synchronization

/// The last known state of a client, for readers on any thread. Written by the session only.
final class ClientStatus: Sendable {
    private struct Status: Sendable {
        var state = XMPPConnectionState.idle
        var boundJID: JID?
    }

    private let status = Mutex(Status())

    var state: XMPPConnectionState { status.withLock { $0.state } }
    var boundJID: JID? { status.withLock { $0.boundJID } }

    func set(_ state: XMPPConnectionState, boundJID: JID?) {
        status.withLock { $0 = Status(state: state, boundJID: boundJID) }
    }
}
