/// Why a connection ended.
enum CloseReason: Sendable {
    /// What it belongs to stops here: a session, a directory, a gateway, an account.
    case stopped(QiError)
    /// Nothing here needs it any more.
    case unneeded(String)
    /// What it was opened for could not be done on it.
    case setUpFailed(QiError)
    /// The other side closed it in order.
    case closedByPeer(String)
    /// The transport failed, or whatever is between the two.
    case lost(QiError)
    /// The peer did not answer in time.
    case silent(QiError)
    /// The peer sent what no peer may send.
    case invalid(String)
    /// The peer may not be here, or not any more.
    case refused(QiError)
    /// The peer has or holds more than it may, or its place was given to another.
    case tooMuch(String)

    /// What everything fails with that waits on the connection.
    var error: QiError {
        switch self {
        case .stopped(let error), .setUpFailed(let error), .lost(let error), .silent(let error), .refused(let error): error
        case .unneeded(let text): QiError(.cancelled, text)
        case .closedByPeer(let text): QiError(.disconnected, text)
        case .invalid(let text): QiError(.invalid, text)
        case .tooMuch(let text): QiError(.limit, text)
        }
    }
}
