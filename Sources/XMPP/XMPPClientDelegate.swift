/// Told about everything that happens to a client, in order, on the client's own thread.
///
/// Every method must return soon: the stream stands still meanwhile. Calling the client's methods from here is fine. All
/// methods have an empty default.
public protocol XMPPClientDelegate: Sendable {
    /// The connection state changed.
    func stateChanged(_ state: XMPPConnectionState)
    /// A connection of a contact came, changed (also: its capabilities became known) or, with `isAvailable` false, went.
    func presenceChanged(_ resource: PresenceResource)
    /// Something came from a connection of a contact, which so gave a sign of life: a request, an answer, a message, a block of a
    /// bytestream, or an available presence. Told once a second at most. Not told: errors, which servers send in the name of their
    /// users (RFC 6120 §8.3.1).
    /// - Parameter isPresence: its server sends the last one again at our login, whether the connection is alive or not (RFC 6121 §4.3.2).
    func heard(from connection: JID, isPresence: Bool)
    /// An entry of the contact list is new or changed; subscription `remove` says that it is gone.
    func rosterChanged(_ item: RosterItem)
    /// An account asks to see our presence; decide with `approveSubscription(of:)` or `denySubscription(of:)`.
    func subscriptionRequested(_ request: SubscriptionRequest)
    /// A contact published an item on a node whose `+notify` feature we announce (XEP-0163 §4.3). `item` is the `<item/>`.
    func pepEvent(from account: JID, node: String, item: Element)
    /// A bytestream of `peer` was ended because all places were taken, `peer` held the most, and `newcomer` needed one. Full addresses.
    func bytestreamDisplaced(_ peer: JID, for newcomer: JID)
}

extension XMPPClientDelegate {
    /// Does nothing.
    public func stateChanged(_ state: XMPPConnectionState) {}
    /// Does nothing.
    public func presenceChanged(_ resource: PresenceResource) {}
    /// Does nothing.
    public func heard(from connection: JID, isPresence: Bool) {}
    /// Does nothing.
    public func rosterChanged(_ item: RosterItem) {}
    /// Does nothing.
    public func subscriptionRequested(_ request: SubscriptionRequest) {}
    /// Does nothing.
    public func pepEvent(from account: JID, node: String, item: Element) {}
    /// Does nothing.
    public func bytestreamDisplaced(_ peer: JID, for newcomer: JID) {}
}
