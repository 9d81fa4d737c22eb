import Logging
import Synchronization
import XMPP

/// Who the owner has let in at one account. While that cannot be read, no device is.
final class AccountContacts: Sendable {
    let account: String
    private let trust: TrustStore
    private let logger: Logger
    private let isBroken = Mutex(false)

    init(account: JID, trust: TrustStore, logger: Logger) {
        self.account = "\(account.bare)"
        self.trust = trust
        self.logger = logger
    }

    func isContact(_ jid: JID) -> Bool { contact(jid) != nil }

    func contact(_ jid: JID) -> Contact? { reading { (trust) throws(MeshError) in try trust.contact("\(jid.bare)", of: account) } ?? nil }

    /// All of them, ordered by address.
    var all: [Contact] { reading { (trust) throws(MeshError) in try trust.contacts(of: account) } ?? [] }

    func named(_ name: String) -> Contact? { reading { (trust) throws(MeshError) in try trust.contact(named: name, of: account) } ?? nil }

    /// What cannot be read is said once, until it can be read again: this is asked for every stanza.
    private func reading<Result>(_ body: (TrustStore) throws(MeshError) -> Result) -> Result? {
        do throws(MeshError) {
            let result = try body(trust)
            isBroken.withLock { $0 = false }
            return result
        } catch {
            let isNews = isBroken.withLock { known in
                defer { known = true }
                return !known
            }
            if isNews { logger.error("the contacts cannot be read, so none is let in", metadata: ["error": "\(error)"]) }
            return nil
        }
    }
}
