/// Changes of the contact list that our server pushes (RFC 6121 §2.1.6).
final class RosterExtension: XMPPExtension {
    private let contacts: ContactBook
    private let changed: (RosterItem) -> Void

    /// - Parameter changed: hears of each entry that is new or another.
    init(_ contacts: ContactBook, changed: @escaping (RosterItem) -> Void) {
        self.contacts = contacts
        self.changed = changed
    }

    var requests: [RequestRule] {
        // Pushes of others would let them edit our contacts. To a server that asks for a contact list there is none here.
        [RequestRule(Namespaces.roster, from: [.server]) { [contacts, changed] request in
            guard request.kind == .set, request.payload.name == "query" else { return .now(.failure(.serviceUnavailable)) }
            if let item = contacts.pushed(request.payload) { changed(item) }
            return .now(.success(nil))
        }]
    }
}
