import Logging

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

    func setDiscoItems(_ provider: @escaping @Sendable (JID) -> [DiscoItem]) {
        discoItems = provider
    }

    /// With no node or with the one our presence names (XEP-0115 §6.2); there are no others.
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
        guard capabilityQueries.count < 64, capabilityQueries.insert(capabilities).inserted else { return }
        queryInfo(of: resource.jid, capabilities) { [weak self] answer in
            guard let self else { return }
            self.capabilityQueries.remove(capabilities)
            if case .failure(let error) = answer {
                self.logger.debug(
                    "capabilities not known", metadata: [LogKeys.peer: "\(resource.jid)", LogKeys.reason: "\(error)"])
            }
            // Others announce the same hash: the answer is theirs too if it verified, otherwise each is asked itself.
            let isVerified = self.capabilityCache[capabilities] != nil
            for other in self.contacts.unknown(capabilities) where isVerified || other != resource.jid {
                if let next = self.contacts.resource(other) { self.learnCapabilities(of: next) }
                if !isVerified { break }
            }
        }
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
