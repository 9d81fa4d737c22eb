import XMPP

/// What to send so that the server's list says what the owner has said, as a value. It goes that way only: what the server lost is asked
/// for again, and what it added makes no contact.
struct ContactRepair: Equatable, Sendable {
    enum Step: Equatable, Sendable {
        /// Enter the device in the server's list, with its name and the groups it is in.
        case list(name: String?, groups: [String])
        /// Let it see us when it asks, or answer it if it has.
        case approve
        /// Ask to see it.
        case subscribe
    }

    /// How long after a request the next one is sent: a device whose owner does not want us is not asked at each login.
    static let interval = Duration.seconds(3_600)

    /// - Parameters:
    ///   - item: what the server's list says of it.
    ///   - sinceAsked: the time since this program asked last to see it; nil for never.
    static func steps(_ contact: Contact, item: RosterItem?, sinceAsked: Duration?) -> [Step] {
        var steps: [Step] = []
        if item == nil || (contact.name != nil && item?.name != contact.name) {
            steps.append(.list(name: contact.name, groups: item?.groups ?? []))
        }
        let subscription = item?.subscription ?? .none
        let mayAsk = sinceAsked.map { $0 >= interval } ?? true
        if subscription != .both, subscription != .from, item?.isPreapproved != true { steps.append(.approve) }
        if subscription != .both, subscription != .to, item?.isAsking != true, mayAsk { steps.append(.subscribe) }
        return steps
    }
}
