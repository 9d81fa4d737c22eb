import QiWire

/// What calls and posts for one object are handed to. Confined to the bus loop.
protocol ObjectReceiver: AnyObject {
    /// Takes a Call or Post addressed to this object. A call must be answered exactly once, now or later.
    func receive(_ call: IncomingCall)
    /// Answers a Call without flags here and now, by ``Connection/answer(_:immediately:)``, if that is all it takes.
    func serveAtOnce(_ message: Message, on connection: Connection) -> Bool
    /// The connection is gone, with every subscription made on it.
    func closed(_ connection: Connection)
    /// The peer dropped its last reference to the object, which it knew under `address` on `connection`.
    func released(_ address: ObjectAddress, on connection: Connection)
    /// Whether its owner is gone for good, so that calls to it fail from now on.
    var isGone: Bool { get }
    /// What the object can do, by which a policy judges calls to it. nil while that is not known: such a receiver does nothing with a call
    /// but hand it on, later, by `Connection.hand(_:to:)`, or refuse it.
    var memberTable: MemberTable? { get }
    /// Whether a peer of ours has that subscription, which it may say again (``SubscriptionTable/renew(link:address:on:of:isLatest:)``).
    func isSubscribed(_ link: UInt64, to signal: UInt32, at address: ObjectAddress, on connection: Connection) -> Bool
    /// Ends the subscriptions made on `connection` under `address`, except to signals whose names may stay.
    func endSubscriptions(on connection: Connection, at address: ObjectAddress, except mayStay: (String) -> Bool)
}

extension ObjectReceiver {
    func serveAtOnce(_ message: Message, on connection: Connection) -> Bool { false }
    func released(_ address: ObjectAddress, on connection: Connection) {}
    var isGone: Bool { false }
    var memberTable: MemberTable? { nil }
    func isSubscribed(_ link: UInt64, to signal: UInt32, at address: ObjectAddress, on connection: Connection) -> Bool { false }
    func endSubscriptions(on connection: Connection, at address: ObjectAddress, except mayStay: (String) -> Bool) {}
}

/// Events of a remote object are handed to this.
protocol EventSink: AnyObject {
    /// - Parameter missed: how many events of the signal were left out before it.
    func receivedEvent(_ message: Message, missed: Int)
    /// The connection the events came from is gone.
    func lost(_ connection: Connection, error: QiError)
    /// Whether it stands for an object that came as a value, and that is held here.
    var isHeld: Bool { get }
}

/// Who owns a connection: knows the objects that every connection of it reaches, and is told of its end.
protocol ConnectionOwner: AnyObject {
    /// The receiver of calls to an object that is not bound to the connection itself.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)?
    func opened(_ connection: Connection)
    func closed(_ connection: Connection, _ reason: CloseReason)
    /// Whether one more call may be served, for bounds that hold over several connections.
    func mayServeCall(on connection: Connection) -> Bool
    /// Whether the peer serves a call of ours that went another way.
    func isServed(by connection: Connection) -> Bool
    /// The name of the service that has this id on `connection`, by which a policy judges its objects; nil when there is none.
    func serviceName(of id: UInt32, on connection: Connection) -> String?
}

extension ConnectionOwner {
    func mayServeCall(on connection: Connection) -> Bool { true }
    func isServed(by connection: Connection) -> Bool { false }
    func serviceName(of id: UInt32, on connection: Connection) -> String? { nil }
}
