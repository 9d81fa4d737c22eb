extension XMPPClient {
    /// What an entity is and can do. Answered from the cache when its presence names a hash that was verified before.
    /// - Parameter address: A full address, or a server's.
    public func discoInfo(of address: JID) async throws(XMPPError) -> DiscoInfo {
        try await host.discoInfo(of: address)
    }

    /// What an entity says about one of its nodes (XEP-0030 §3.2); always asked.
    public func discoInfo(of address: JID, node: String) async throws(XMPPError) -> DiscoInfo {
        let query = Element("query", namespace: Namespaces.discoInfo, attributes: ["node": node])
        let answer = try await iq(to: address, .get, query)
        do throws(EntityCapabilities.Fault) {
            return try EntityCapabilities.parse(answer, strictly: false)
        } catch {
            throw XMPPError(.stanza, "the answer to disco#info is not usable (\(error))", cause: error)
        }
    }

    /// What an entity has (XEP-0030 §4), at most 1000 items; broken entries are left out.
    public func discoItems(of address: JID, node: String? = nil) async throws(XMPPError) -> [DiscoItem] {
        var query = Element("query", namespace: Namespaces.discoItems)
        query["node"] = node
        let answer = try await iq(to: address, .get, query)
        return (answer?.children("item", Namespaces.discoItems) ?? []).prefix(1000).compactMap { item in
            item["jid"].flatMap { JID($0) }.map { DiscoItem(jid: $0, node: item["node"], name: item["name"]) }
        }
    }

    /// Replaces the features announced beside the client's own; presence goes out again when the capabilities change.
    public func setFeatures(_ features: [String]) {
        host.enqueue { $0.extensions.capabilities.setFeatures(features) }
    }

    /// Answers disco#items of mutual contacts. The provider says what that asker may see; it runs on the client's thread.
    public func setDiscoItems(_ provider: @escaping @Sendable (_ asker: JID) -> [DiscoItem]) {
        host.handlers.setItems(provider)
    }

    /// Answers disco#info of mutual contacts about a node of ours; nil is `item-not-found`. What is said there is no part of the
    /// capabilities in our presence, so it may differ from device to device.
    public func setDiscoNode(_ node: String, _ provider: @escaping @Sendable (_ asker: JID) async -> DiscoInfo?) {
        host.handlers.setNode(node, provider)
    }

    /// Changes what our presence says; sent when online, and after every reconnect.
    public func setPresence(show: PresenceResource.Show, status: String = "") {
        host.enqueue { $0.setPresence(show: show, status: status) }
    }
}
