extension XMPPClient {
    /// Publishes an item on one of our own nodes for those who see our presence (XEP-0163 §3).
    public func publish(node: String, itemID: String = "current", _ payload: Element) async throws(XMPPError) {
        let item = Element("item", attributes: ["id": itemID], children: [payload])
        let publish = Element("publish", attributes: ["node": node], children: [item])
        // No pubsub#max_items: ejabberd 23.01 refuses it; the same item id every time keeps it at one item.
        let form = Element(
            "x", namespace: Namespaces.dataForms, attributes: ["type": "submit"],
            children: [
                XMPPClient.field("FORM_TYPE", Namespaces.publishOptions, type: "hidden"),
                XMPPClient.field("pubsub#access_model", "presence"),
                XMPPClient.field("pubsub#persist_items", "true"),
            ])
        try await iq(
            to: nil, .set,
            Element(
                "pubsub", namespace: Namespaces.pubsub,
                children: [publish, Element("publish-options", children: [form])]))
    }

    /// The items an account published on a node, newest last; empty when there are none.
    /// - Returns: The `<item/>` elements.
    public func fetchPEP(of account: JID, node: String) async throws(XMPPError) -> [Element] {
        let items = Element("items", attributes: ["node": node])
        let answer: Element?
        do throws(XMPPError) {
            answer = try await iq(
                to: account.bare, .get, Element("pubsub", namespace: Namespaces.pubsub, children: [items]))
        } catch {
            if error.stanzaError?.condition == "item-not-found" { return [] }
            throw error
        }
        return answer?["items", Namespaces.pubsub]?.children("item", Namespaces.pubsub) ?? []
    }

    private static func field(_ name: String, _ value: String, type: String? = nil) -> Element {
        var field = Element("field", attributes: ["var": name], children: [Element("value", text: value)])
        field["type"] = type
        return field
    }
}
