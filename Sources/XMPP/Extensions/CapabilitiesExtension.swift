import Logging
import NIOCore

/// What we can do, as a hash in our presence, and what others can do by theirs (XEP-0115).
final class CapabilitiesExtension: XMPPExtension {
    private let discovery: DiscoveryExtension
    private let node: String
    private let contacts: ContactBook
    private let delegate: (any XMPPClientDelegate)?
    private let logger: Logger
    /// Held weakly: the session owns this.
    weak var host: (any ExtensionHost)?
    private var cache: CapabilityCache
    /// The hash in the presence that went out last.
    private var announced: String?
    private var questions = CapabilityQuestions()

    static let ownFeatures: [String] = [Namespaces.caps]
    var features: [String] { Self.ownFeatures }

    init(
        _ discovery: DiscoveryExtension, _ configuration: XMPPConfiguration, contacts: ContactBook, delegate: (any XMPPClientDelegate)?,
        logger: Logger
    ) {
        self.discovery = discovery
        self.contacts = contacts
        self.delegate = delegate
        self.logger = logger
        node = configuration.capsNode
        cache = CapabilityCache(limit: configuration.limits.capabilities)
    }

    private var isOnline: Bool { host?.isOnline == true }

    // MARK: Ours

    func complete(_ presence: inout Element) {
        let version = EntityCapabilities.version(discovery.info)
        announced = version
        let attributes = ["hash": "sha-1", "node": node, "ver": version]
        presence.children.append(Element("c", namespace: Namespaces.caps, attributes: attributes))
    }

    /// What is announced beside the features of the extensions is that from now on.
    func setFeatures(_ features: [String]) {
        discovery.ownFeatures = features
        featuresChanged()
    }

    /// What is announced may be another than before: presence goes out again if it is.
    func featuresChanged() {
        if isOnline && EntityCapabilities.version(discovery.info) != announced { host?.sendPresence(to: nil) }
    }

    // MARK: Others'

    /// What such capabilities stand for, if that was verified before.
    func known(_ capabilities: PresenceResource.Capabilities) -> DiscoInfo? { cache[capabilities] }

    func appeared(_ resource: PresenceResource, isNews: Bool) {
        guard resource.disco == nil else { return }
        if !isNews { questions.shown(resource.jid) }
        learn(resource)
    }

    func left(_ resource: PresenceResource) { questions.gone(resource.jid) }

    /// Presence may have come while the contact did not see us yet, and so was not asked what it can do.
    func contactChanged(_ account: JID) {
        for resource in contacts.resources(of: account) where resource.disco == nil { learn(resource) }
    }

    func disconnected(_ error: XMPPError) { questions.removeAll() }

    func tick() { if isOnline { ask() } }

    /// Finds out what a connection can do: from the cache, or by asking one of those that announce the same hash.
    private func learn(_ resource: PresenceResource) {
        guard let capabilities = resource.capabilities, contacts.isMutual(resource.jid.bare) else { return }
        if let known = cache[capabilities] { return learned(known, of: resource.jid, capabilities) }
        questions.wanted(resource.jid, capabilities)
        ask()
    }

    /// Asks whatever is due.
    private func ask() {
        for question in questions.next(now: .now()) {
            query(question.jid, question.capabilities) { [weak self] answer in self?.answered(question, answer) }
        }
    }

    private func answered(_ question: CapabilityQuestions.Question, _ answer: Result<DiscoInfo, XMPPError>) {
        switch answer {
        case .success:
            // Others announce the same hash: the answer is theirs too if it verified, otherwise each is asked itself.
            let shared = cache[question.capabilities]
            questions.answered(question, isShared: shared != nil)
            if let shared {
                for other in contacts.unknown(question.capabilities) where contacts.isMutual(other.bare) {
                    learned(shared, of: other, question.capabilities)
                }
            }
        case .failure(let error):
            // A connection that is gone, or announces something else, is not asked again.
            guard isOnline, contacts.resource(question.jid)?.capabilities == question.capabilities else {
                questions.dropped(question)
                break
            }
            if questions.failed(question, now: .now()) == .givenUp {
                logger.warning(
                    "a contact does not say what it can do",
                    metadata: [LogKeys.peer: "\(question.jid)", LogKeys.reason: "\(error.message)"])
            }
        }
        if isOnline { ask() }
    }

    /// Asks an entity what it can do, keeps the answer if it verifies, and tells.
    func query(
        _ address: JID, _ capabilities: PresenceResource.Capabilities?, completion: @escaping (Result<DiscoInfo, XMPPError>) -> Void
    ) {
        let stopped = XMPPError(.cancelled, "The client was stopped.")
        guard let host else { return completion(.failure(stopped)) }
        var query = Element("query", namespace: Namespaces.discoInfo)
        query["node"] = capabilities?.discoNode
        host.sendIQ(.get, to: address, payload: query, timeout: .seconds(20)) { [weak self] answer in
            guard let self else { return completion(.failure(stopped)) }
            completion(self.infoArrived(answer, of: address, capabilities))
        }
    }

    private func infoArrived(
        _ answer: Result<Element?, XMPPError>, of address: JID, _ capabilities: PresenceResource.Capabilities?
    ) -> Result<DiscoInfo, XMPPError> {
        switch answer {
        case .failure(let error): return .failure(error)
        case .success(let query):
            if let capabilities, !cache.learned(query, as: capabilities) {
                logger.debug("capabilities do not verify", metadata: [LogKeys.peer: "\(address)"])
            }
            do throws(EntityCapabilities.Fault) {
                let info = try EntityCapabilities.parse(query, strictly: false)
                learned(info, of: address, capabilities)
                return .success(info)
            } catch {
                return .failure(XMPPError(.stanza, "The answer to disco#info is not usable (\(error)).", cause: error))
            }
        }
    }

    private func learned(_ info: DiscoInfo, of address: JID, _ capabilities: PresenceResource.Capabilities?) {
        if let resource = contacts.learned(info, of: address, capabilities: capabilities) { delegate?.presenceChanged(resource) }
    }
}
