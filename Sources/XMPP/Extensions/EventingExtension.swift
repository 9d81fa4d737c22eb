/// Notices of what contacts publish (XEP-0163 §4.3). Which nodes are of interest the features `NODE+notify` of the configuration say.
final class EventingExtension: XMPPExtension {
    private let contacts: ContactBook
    private let takes: (JID) -> Bool
    private let published: (JID, String, Element) -> Void

    /// - Parameters:
    ///   - takes: whether one more notice of that account is looked at.
    ///   - published: hears the account, the node, and the `<item/>`.
    init(_ contacts: ContactBook, takes: @escaping (JID) -> Bool, published: @escaping (JID, String, Element) -> Void) {
        self.contacts = contacts
        self.takes = takes
        self.published = published
    }

    func received(message: Element, from sender: JID) {
        // An account's bare address publishes.
        guard sender.isBare, contacts.isSeen(sender), contacts.isAdmitted(sender), message["type"] != "error",
            let items = message["event", Namespaces.pubsubEvent]?["items", Namespaces.pubsubEvent], let node = items["node"], takes(sender)
        else { return }
        for item in items.children("item").prefix(16) { published(sender, node, item) }
    }
}
