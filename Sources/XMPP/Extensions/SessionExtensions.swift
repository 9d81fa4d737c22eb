import Logging

/// The extensions of one session. A new one is made here and registers the rest itself; those that need the session are made in
/// ``XMPPSession``, and transports of bytestreams in ``Bytestreams``.
final class SessionExtensions {
    let bytestreams: Bytestreams
    let discovery: DiscoveryExtension
    let capabilities: CapabilitiesExtension
    /// In the order in which they are told what happens.
    let all: [any XMPPExtension]

    /// - Parameters:
    ///   - host: the session, which keeps this.
    ///   - others: those that need more of the session.
    init(
        _ host: any ExtensionHost, _ configuration: XMPPConfiguration, contacts: ContactBook, delegate: (any XMPPClientDelegate)?,
        bytestreams: Bytestreams, others: [any XMPPExtension], handlers: ClientHandlers, logger: Logger
    ) {
        self.bytestreams = bytestreams
        let announced = bytestreams.extensions + [PingExtension(), VersionExtension(configuration.software)] + others
        discovery = DiscoveryExtension(
            configuration, others: announced.flatMap(\.features) + CapabilitiesExtension.ownFeatures, handlers: handlers,
            logger: logger)
        capabilities = CapabilitiesExtension(discovery, configuration, contacts: contacts, delegate: delegate, logger: logger)
        capabilities.host = host
        all = announced + [discovery, capabilities]
    }
}
