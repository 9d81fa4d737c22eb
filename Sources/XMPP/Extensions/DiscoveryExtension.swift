import Logging

/// What we are and have, for those who ask (XEP-0030).
final class DiscoveryExtension: XMPPExtension {
    /// Largest answer to disco#items in bytes, below what the other side looks at.
    private static let itemBytes = 48 * 1024

    private let configuration: XMPPConfiguration
    private let logger: Logger
    /// What all extensions of the session announce.
    private let extensionFeatures: () -> [String]
    /// What the owner of the client announces beside that.
    var ownFeatures: [String]
    private let handlers: ClientHandlers

    let features = [Namespaces.discoInfo, Namespaces.discoItems]

    /// - Parameters:
    ///   - others: the other extensions' features, asked for each answer.
    ///   - handlers: what the owner says of items and nodes.
    init(_ configuration: XMPPConfiguration, others: @escaping @autoclosure () -> [String], handlers: ClientHandlers, logger: Logger) {
        self.handlers = handlers
        self.configuration = configuration
        self.logger = logger
        extensionFeatures = others
        ownFeatures = configuration.features
    }

    /// What we answer to disco#info, and what the hash in our presence stands for.
    var info: DiscoInfo {
        let identity = DiscoInfo.Identity(
            category: configuration.identityCategory, type: configuration.identityType, name: configuration.identityName)
        return DiscoInfo(identities: [identity], features: Set(features + extensionFeatures() + ownFeatures))
    }

    var requests: [RequestRule] {
        [
            RequestRule(Namespaces.discoInfo) { [self] in Self.isQuery($0) ? infoAnswer($0.payload["node"]) : nil },
            RequestRule(Namespaces.discoItems) { [self] in
                Self.isQuery($0) ? .now(itemsAnswer($0.payload["node"], asker: $0.from)) : nil
            },
        ]
    }

    private static func isQuery(_ request: IQRequest) -> Bool { request.kind == .get && request.payload.name == "query" }

    /// With no node or with the one our presence names (XEP-0115 §6.2); others have providers of their own.
    private func infoAnswer(_ node: String?) -> RequestAnswer {
        if let provider = node.flatMap({ handlers.node($0) }) {
            return .later { request in
                guard let info = await provider(request.from) else { return .failure(.itemNotFound) }
                return .success(EntityCapabilities.element(info, node: node))
            }
        }
        let info = info
        guard node == nil || node == "\(configuration.capsNode)#\(EntityCapabilities.version(info))" else {
            return .now(.failure(.itemNotFound))
        }
        return .now(.success(EntityCapabilities.element(info, node: node)))
    }

    private func itemsAnswer(_ node: String?, asker: JID) -> Result<Element?, StanzaError> {
        guard node == nil else { return .failure(.itemNotFound) }
        var query = Element("query", namespace: Namespaces.discoItems)
        var bytes = 0
        let items = handlers.items(for: asker)
        for item in items {
            var element = Element("item", attributes: ["jid": item.jid.description])
            element["node"] = item.node
            element["name"] = item.name
            bytes += element.description.utf8.count
            guard bytes <= Self.itemBytes else {
                logger.warning("too many items for one answer", metadata: [LogKeys.count: "\(items.count)"])
                break
            }
            query.children.append(element)
        }
        return .success(query)
    }
}
