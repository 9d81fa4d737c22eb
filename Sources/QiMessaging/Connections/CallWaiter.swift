/// Who is told how a call ended.
enum CallWaiter {
    case closure(CallCompletion)
    /// A task that waits: the usual case, which costs no object.
    case task(UnsafeContinuation<CallFlight.Begun, Never>)
    /// A task that has waited for some time (``CallFlight``).
    case flight(CallFlight)

    func ended(_ answer: CallAnswer) {
        switch self {
        case .closure(let completion): completion(answer)
        case .task(let task): task.resume(returning: .answer(answer))
        case .flight(let flight): flight.complete(answer)
        }
    }
}
