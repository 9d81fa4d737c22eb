import Logging
import NIOCore

/// What we are and have, and what others are.
extension XMPPSession {
    /// What the client itself can do.
    private static let ownFeatures = [
        Namespaces.discoInfo, Namespaces.discoItems, Namespaces.caps, Namespaces.ping, Namespaces.version,
        Namespaces.jingle, Namespaces.jingleIBB, Namespaces.ibb,
    ]

    /// Largest answer to disco#items in bytes, below what the other side looks at.
    private static let itemBytes = 48 * 1024

    /// What we answer to disco#info, and what the hash in our presence stands for.
    var ownInfo: DiscoInfo {
        DiscoInfo(
            identities: [
                .init(
                    category: configuration.identityCategory, type: configuration.identityType,
                    name: configuration.identityName)
            ],
            features: Set(XMPPSession.ownFeatures + features))
    }

    var softwareVersion: Element {
        Element(
            "query", namespace: Namespaces.version,
            children: [
                Element("name", text: configuration.software.name),
                Element("version", text: configuration.software.version),
            ])
    }

    func setFeatures(_ features: [String]) {
        let old = EntityCapabilities.version(ownInfo)
        self.features = features
        if isOnline && EntityCapabilities.version(ownInfo) != old { sendPresence() }
    }

    func setDiscoNode(_ node: String, _ provider: @escaping @Sendable (JID) async -> DiscoInfo?) {
        discoNodes[node] = provider
    }

    func setDiscoItems(_ provider: @escaping @Sendable (JID) -> [DiscoItem]) {
        discoItems = provider
    }

    /// With no node or with the one our presence names (XEP-0115 §6.2); others have handlers of their own.
    func discoInfoAnswer(node: String?) -> Result<Element?, StanzaError> {
        let info = ownInfo
        guard node == nil || node == "\(configuration.capsNode)#\(EntityCapabilities.version(info))" else {
            return .failure(.itemNotFound)
        }
        return .success(EntityCapabilities.element(info, node: node))
    }

    func discoItemsAnswer(node: String?, asker: JID) -> Result<Element?, StanzaError> {
        guard node == nil else { return .failure(.itemNotFound) }
        var query = Element("query", namespace: Namespaces.discoItems)
        var bytes = 0
        let items = discoItems(asker)
        for item in items {
            var element = Element("item", attributes: ["jid": item.jid.description])
            element["node"] = item.node
            element["name"] = item.name
            bytes += element.description.utf8.count
            guard bytes <= XMPPSession.itemBytes else {
                logger.warning("too many items for one answer", metadata: [LogKeys.count: "\(items.count)"])
                break
            }
            query.children.append(element)
        }
        return .success(query)
    }

    // MARK: Others

    /// Finds out what a connection can do: from the cache, or by asking one of those that announce the same hash.
    func learnCapabilities(of resource: PresenceResource) {
        guard let capabilities = resource.capabilities, contacts.isMutual(resource.jid.bare) else { return }
        if let known = capabilityCache[capabilities] {
            return learned(known, of: resource.jid, capabilities: capabilities)
        }
        capabilityQuestions.wanted(resource.jid, capabilities)
        askCapabilities()
    }

    /// Asks whatever is due.
    func askCapabilities() {
        for question in capabilityQuestions.next(now: .now()) {
            queryInfo(of: question.jid, question.capabilities) { [weak self] answer in
                self?.capabilitiesAnswered(question, answer)
            }
        }
    }

    private func capabilitiesAnswered(_ question: CapabilityQuestions.Question, _ answer: Result<DiscoInfo, XMPPError>) {
        switch answer {
        case .success:
            // Others announce the same hash: the answer is theirs too if it verified, otherwise each is asked itself.
            let shared = capabilityCache[question.capabilities]
            capabilityQuestions.answered(question, isShared: shared != nil)
            if let shared {
                for other in contacts.unknown(question.capabilities) where contacts.isMutual(other.bare) {
                    learned(shared, of: other, capabilities: question.capabilities)
                }
            }
        case .failure(let error):
            // A connection that is gone, or announces something else, is not asked again.
            guard isOnline, contacts.resource(question.jid)?.capabilities == question.capabilities else {
                capabilityQuestions.dropped(question)
                break
            }
            if capabilityQuestions.failed(question, now: .now()) == .givenUp {
                logger.warning(
                    "a contact does not say what it can do",
                    metadata: [LogKeys.peer: "\(question.jid)", LogKeys.reason: "\(error.message)"])
            }
        }
        if isOnline { askCapabilities() }
    }

    /// Asks an entity what it can do, keeps the answer if it verifies, and tells.
    func queryInfo(
        of address: JID, _ capabilities: PresenceResource.Capabilities?,
        completion: @escaping (Result<DiscoInfo, XMPPError>) -> Void
    ) {
        var query = Element("query", namespace: Namespaces.discoInfo)
        query["node"] = capabilities?.discoNode
        request(address, .get, query, timeout: .seconds(20)) { [weak self] answer in
            guard let self else { return completion(.failure(XMPPError(.cancelled, "The client was stopped."))) }
            completion(self.infoArrived(answer, of: address, capabilities))
        }
    }

    private func infoArrived(
        _ answer: Result<Element?, XMPPError>, of address: JID, _ capabilities: PresenceResource.Capabilities?
    ) -> Result<DiscoInfo, XMPPError> {
        switch answer {
        case .failure(let error): return .failure(error)
        case .success(let query):
            if let capabilities, !capabilityCache.learned(query, as: capabilities) {
                logger.debug("capabilities do not verify", metadata: [LogKeys.peer: "\(address)"])
            }
            do throws(EntityCapabilities.Fault) {
                let info = try EntityCapabilities.parse(query, strictly: false)
                learned(info, of: address, capabilities: capabilities)
                return .success(info)
            } catch {
                return .failure(XMPPError(.stanza, "The answer to disco#info is not usable (\(error)).", cause: error))
            }
        }
    }

    private func learned(_ info: DiscoInfo, of address: JID, capabilities: PresenceResource.Capabilities?) {
        if let resource = contacts.learned(info, of: address, capabilities: capabilities) {
            delegate?.presenceChanged(resource)
        }
    }
}
