import Logging
import Synchronization
import XMPP

/// Who the owner has let in at one account. While that cannot be read, no device is.
final class AccountContacts: Sendable {
    private struct State {
        var isBroken = false
        /// Devices that are being paired with, and how often.
        var pairing: [JID: Int] = [:]
    }

    let account: String
    private let accept: [JIDGlob]
    private let trust: TrustStore
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameter accept: the devices that are let in when they ask.
    init(account: JID, accept: [JIDGlob] = [], trust: TrustStore, logger: Logger) {
        self.account = "\(account.bare)"
        self.accept = accept
        self.trust = trust
        self.logger = logger
    }

    func isContact(_ jid: JID) -> Bool { contact(jid) != nil }

    func contact(_ jid: JID) -> Contact? { reading { (trust) throws(MeshError) in try trust.contact("\(jid.bare)", of: account) } ?? nil }

    /// All of them, ordered by address.
    var all: [Contact] { reading { (trust) throws(MeshError) in try trust.contacts(of: account) } ?? [] }

    func named(_ name: String) -> Contact? { reading { (trust) throws(MeshError) in try trust.contact(named: name, of: account) } ?? nil }

    /// The device that is called so at this account or at another, unless it is that one.
    func holder(of name: String, otherThan jid: JID?) -> JID? {
        let holder = reading { (trust) throws(MeshError) in try trust.holder(of: name, otherThan: jid.map { "\($0.bare)" }) } ?? nil
        return holder.flatMap { JID($0) }
    }

    /// Whether the owner has ended all access of an account. One that cannot be looked up is not let in.
    func isRevoked(_ jid: JID) -> Bool { reading { (trust) throws(MeshError) in try trust.isRevoked(jid: "\(jid.bare)") } ?? true }

    // MARK: - What needs no person

    /// Whether `accept` lets a device in that asks. Not one that the server lists as a contact already: it would be asked for by the server
    /// alone, and a person decides.
    func isAccepted(_ jid: JID, listed item: RosterItem?) -> Bool {
        guard item == nil || item?.subscription == RosterItem.Subscription.none else { return false }
        return accept.contains { $0.matches("\(jid.bare)") } && !isRevoked(jid)
    }

    /// Whether a request is answered without a person: of a contact, of a device that is being paired with, or of one that `accept` names.
    func expects(_ jid: JID, listed item: RosterItem?) -> Bool {
        isContact(jid) || state.withLock { $0.pairing[jid.bare] != nil } || isAccepted(jid, listed: item)
    }

    func pairingBegins(with jid: JID) { state.withLock { $0.pairing[jid.bare, default: 0] += 1 } }

    func pairingEnded(with jid: JID) {
        state.withLock { state in
            let left = (state.pairing[jid.bare] ?? 0) - 1
            state.pairing[jid.bare] = left > 0 ? left : nil
        }
    }

    // MARK: - Reading

    /// What cannot be read is said once, until it can be read again: this is asked for every stanza.
    private func reading<Result>(_ body: (TrustStore) throws(MeshError) -> Result) -> Result? {
        do throws(MeshError) {
            let result = try body(trust)
            state.withLock { $0.isBroken = false }
            return result
        } catch {
            let isNews = state.withLock { state in
                defer { state.isBroken = true }
                return !state.isBroken
            }
            if isNews { logger.error("the contacts cannot be read, so none is let in", metadata: ["error": "\(error)"]) }
            return nil
        }
    }
}
