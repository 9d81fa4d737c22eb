import QiWire

/// What a connection asks before anything of its peer's reaches a receiver: the choke point. Confined to the bus loop.
protocol CallFilter: AnyObject {
    /// Judges a call or post for `receiver`; what passes is counted.
    ///
    /// - Parameter service: the name of the service the object is of, or came from.
    func judge(_ call: IncomingCall, _ receiver: any ObjectReceiver, service: @autoclosure () -> String?) -> CallVerdict
    /// The peer called, or posted to, an object that is not there.
    func notFound(_ address: ActionAddress, isPost: Bool)
    /// The peer goes on over another path.
    func moved(to origin: ConnectionOrigin)
}

/// What becomes of a call or post.
enum CallVerdict {
    case pass
    /// To be answered as if there were no such object.
    case hidden
    case refused(String)
}
