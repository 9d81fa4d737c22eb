import NIOCore
import QiWire

/// What an answer tells of a call to an instance of a service: whether the method ran. Pure.
enum CallFate: Equatable {
    /// The instance answered.
    case answered
    /// It did not, and the method did not run there.
    case notRun(String)
    /// It did not, and the method may have run, or run yet.
    case mayHaveRun(String)

    /// - Parameters:
    ///   - isLost: whether the connection to the instance has ended, or there was none.
    ///   - hasLeft: whether all of the call may have left for the instance.
    init(_ answer: CallAnswer, isLost: Bool, hasLeft: Bool) {
        switch answer {
        case .reply, .canceled: self = .answered
        case .error(var payload): self.init(errorText: payload.readErrorPayload())
        // Of a connection that stands, it says that the call itself cannot be made: it is too long, or too many wait.
        case .failure where !isLost: self = .answered
        case .failure(let error): self = hasLeft ? .mayHaveRun(error.message) : .notRun(error.message)
        }
    }

    /// Of an Error message: most are the method's own.
    private init(errorText text: String) {
        if text == Self.stopping || text == Self.noSuchObject {
            self = .notRun(text)
            return
        }
        let error = QiError(wireText: text)
        // Its device says that the program which hosts the service is gone.
        self = error.code == .disconnected || error.code == .offline ? .mayHaveRun(error.message) : .answered
    }

    /// How a node that stops refuses new calls.
    static let stopping = QiError.stopping("this node").wireText
    /// Of a service that was unregistered (libqi `src/messaging/boundobject.cpp`).
    private static let noSuchObject = "The call request could not be handled."
}
