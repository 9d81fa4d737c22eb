/// An extension of XMPP (a XEP) in one session: what it announces, which requests it answers, what it does when something happens.
///
/// The session knows its extensions by this protocol, and tells each of them everything, in the order of its list. Confined to the stanza
/// thread. Everything has a default: announces nothing, answers nothing, does nothing.
protocol XMPPExtension: AnyObject {
    /// Its features in disco#info (XEP-0030 §3.1). Where they change, ``CapabilitiesExtension/featuresChanged()`` is to be called.
    var features: [String] { get }
    /// The namespaces whose requests it answers, one rule each.
    var requests: [RequestRule] { get }

    /// Presence of ours is about to be sent.
    func complete(_ presence: inout Element)
    /// A message of a contact arrived. Their number is not bounded here.
    func received(message: Element, from sender: JID)
    /// A connection of a contact showed itself. `isNews` is false when it said the same as before.
    func appeared(_ resource: PresenceResource, isNews: Bool)
    /// A connection of a contact is gone.
    func left(_ resource: PresenceResource)
    /// The account is a contact, or more is known of one that is. A bare address.
    func contactChanged(_ account: JID)
    /// The account is no contact any more, for that reason. A bare address.
    func contactEnded(_ account: JID, _ reason: String)
    /// The stream is over, for that reason.
    func disconnected(_ error: XMPPError)
    /// Time went by: at least every 250 ms while there is a stream.
    func tick()
}

extension XMPPExtension {
    var features: [String] { [] }
    var requests: [RequestRule] { [] }

    func complete(_ presence: inout Element) {}
    func received(message: Element, from sender: JID) {}
    func appeared(_ resource: PresenceResource, isNews: Bool) {}
    func left(_ resource: PresenceResource) {}
    func contactChanged(_ account: JID) {}
    func contactEnded(_ account: JID, _ reason: String) {}
    func disconnected(_ error: XMPPError) {}
    func tick() {}
}

/// What extensions ask of their session beside stanzas.
protocol ExtensionHost: StanzaSink {
    /// Whether contacts are loaded and presence was sent.
    var isOnline: Bool { get }

    /// Sends our presence. `account`: who alone is told, by its bare address; nil for all who see us.
    func sendPresence(to account: JID?)
}
