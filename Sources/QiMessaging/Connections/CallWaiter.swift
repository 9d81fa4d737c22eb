/// Who is told how a call ended.
enum CallWaiter {
    case closure(CallCompletion)
    /// A task: the usual case, which needs no closure.
    case flight(CallFlight)

    func ended(_ answer: CallAnswer) {
        switch self {
        case .closure(let completion): completion(answer)
        case .flight(let flight): flight.complete(answer)
        }
    }
}
